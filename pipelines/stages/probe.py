"""What a container holds, and whether it can be a lecture at all."""

import dataclasses
from typing import Any

from pipelines.config import ProbeSettings
from pipelines.errors import RowError
from pipelines.schema import Probe, Reason


def video_stream(container: Any) -> Any | None:
    """The first real video stream; a cover picture is none."""
    for stream in container.streams.video:
        if not _is_cover(stream):
            return stream
    return None


def _is_cover(stream: Any) -> bool:
    import av.stream

    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def audio_stream(container: Any) -> Any | None:
    """The first audio stream."""
    return container.streams.audio[0] if container.streams.audio else None


def decodable(stream: Any) -> Any:
    """The stream, if FFmpeg knows its codec: a damaged file may name one that does not exist.

    Raises:
        RowError: `unreadable`.
    """
    if stream.codec_context is None:
        raise RowError(Reason.UNREADABLE, f"its {stream.type} is of a codec that cannot be decoded")
    return stream


def probe(container: Any) -> Probe:
    """The container's own account; `duration_s` is what it announces (0.0 if nothing), until decoding knows better.

    Raises:
        RowError: `unreadable`, where the codec of picture or sound is not known.
    """
    import av

    video, audio = video_stream(container), audio_stream(container)
    for stream in filter(None, (video, audio)):
        decodable(stream)
    announced = [float(container.duration / av.time_base)] if container.duration else []
    announced += [float(s.duration * s.time_base) for s in (video, audio) if s is not None and s.duration]
    return Probe(
        container=container.format.name,
        duration_s=max(announced, default=0.0),
        video_codec=video.codec_context.name if video else None,
        audio_codec=audio.codec_context.name if audio else None,
        width=video.codec_context.width if video else None,
        height=video.codec_context.height if video else None,
        mean_fps=float(video.average_rate) if video and video.average_rate else None,
    )


def check_streams(found: Probe) -> None:
    """Reject what has no picture or no sound.

    Raises:
        RowError: `no_video` or `no_audio`.
    """
    if found.video_codec is None:
        raise RowError(Reason.NO_VIDEO, f"{found.container} without a video stream")
    if found.audio_codec is None:
        raise RowError(Reason.NO_AUDIO, f"{found.container} without an audio stream")


def check_duration(duration_s: float, settings: ProbeSettings) -> None:
    """Reject by the published limits.

    Raises:
        RowError: `too_short` or `too_long`.
    """
    if duration_s < settings.min_duration_s:
        raise RowError(Reason.TOO_SHORT, f"{duration_s:.1f} s, the limit is {settings.min_duration_s:g} s")
    if duration_s > settings.max_duration_s:
        raise RowError(Reason.TOO_LONG, f"{duration_s:.1f} s, the limit is {settings.max_duration_s:g} s")


def with_decoded_end(found: Probe, decoded_end_s: float) -> Probe:
    """`found` with the duration that the packets really reach; far short of the announced one means truncated."""
    return dataclasses.replace(found, duration_s=decoded_end_s, truncated=breaks_off(found.duration_s, decoded_end_s))


def breaks_off(announced_s: float, decoded_end_s: float) -> bool:
    """Whether decoding ends far short of the announced duration (0.0: none is announced).

    One second and 2 % of slack: containers round durations and audio outlasts video by a few frames.
    """
    return announced_s > 0 and decoded_end_s < 0.98 * announced_s - 1.0
