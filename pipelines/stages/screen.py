"""The cheap pass over every video: one demux, the codec's key frames small, and the speech in it.

MedicalNarratives filtered 748,000 videos by key frames and speech before it looked at any in full; so does this.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from pipelines.config import Config, ScreenSettings
from pipelines.errors import RowError
from pipelines.job import Sample
from pipelines.media import DecodedPicture, clock_origin_s, decode_alone, decode_quietly, open_media, packets, to_jpeg
from pipelines.schema import Probe, Reason, Span
from pipelines.stages import probe as probing
from pipelines.stages.narrative import rests_s, thumbnail
from pipelines.stages.speech import AudioClock, SpeechMeter

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A screening frame."""

    time_s: float
    jpeg: bytes
    """Longest edge as set."""
    thumbnail: np.ndarray
    """What the streak test compares."""

    @classmethod
    def of(cls, picture: DecodedPicture, longest_edge_px: int) -> "Seen":
        """The picture, small."""
        rgb = picture.small_rgb(longest_edge_px)
        return cls(time_s=picture.time_s, jpeg=to_jpeg(rgb), thumbnail=thumbnail(rgb))


@dataclass(frozen=True, slots=True, kw_only=True)
class Screened:
    """What the cheap pass found. `frames`, in time order, are what there is to classify."""

    probe: Probe
    speech: tuple[Span, ...]
    audio_s: float
    frames: tuple[Sample, ...]


def screen(uri: str, config: Config) -> Iterator[Probe | Screened]:
    """Yields the probe as soon as the header is read, then the whole finding.

    Raises:
        RowError: unreadable, or rejected for its streams or duration.
    """
    with open_media(uri) as container:
        found = probing.probe(container)
        yield found
        probing.check_streams(found)
        if found.duration_s:
            probing.check_duration(found.duration_s, config.probe)
        passed = _Pass(container, config)
        passed.run()
        found = passed.finished_probe(found)
        if not passed.frames:
            raise RowError(Reason.UNREADABLE, "no video frame could be decoded")
        probing.check_duration(found.duration_s, config.probe)
        fill_gaps(container, passed, found.duration_s, config.screen)
        speech, audio_s = passed.meter.finish()
        frames = to_classify(passed.frames, found.duration_s, config)
        yield Screened(probe=found, speech=speech, audio_s=audio_s, frames=frames)


class _Pass:
    """One demux of the file: every packet is seen, key frames and audio are decoded."""

    def __init__(self, container: Any, config: Config) -> None:
        self.settings = config.screen
        self.container = container
        self.video: Any = probing.video_stream(container)
        self.audio: Any = probing.audio_stream(container)
        assert self.video is not None  # check_streams has seen it
        self.video.codec_context.skip_frame = "NONKEY"
        self.video.codec_context.thread_count = 1
        self.origin_s = clock_origin_s(container)
        self.meter = SpeechMeter(config.speech)
        self.frames: list[Seen] = []
        self.interval_s = max(config.screen.interval_s, self._announced_s() / config.screen.max_frames)
        self._steps: set[int] = set()
        self._last_pts: int | None = None
        self._end_s = 0.0
        self._rotation = 0

    def _announced_s(self) -> float:
        import av

        return float(self.container.duration / av.time_base) if self.container.duration else 0.0

    def run(self) -> None:
        clock = AudioClock(self.origin_s)
        for packet in packets(self.container, self.video, self.audio):
            if packet.stream is self.audio:
                if packet.pts is not None:  # the last picture stays on show while somebody speaks
                    self._reach(packet)
                for frame in decode_quietly(packet):
                    for samples in clock.pcm(frame):
                        self.meter.add(samples)
            elif packet.pts is not None:
                self._see(packet)
        for samples in clock.pcm(None):
            self.meter.add(samples)

    def _see(self, packet: Any) -> None:
        time_s = self._reach(packet)
        if self._last_pts is not None and packet.duration:
            self._steps.add(int(packet.duration))
        self._last_pts = packet.pts
        due = not self.frames or time_s - self.frames[-1].time_s >= self.interval_s
        if packet.is_keyframe and due:
            self.take(packet)

    def _reach(self, packet: Any) -> float:
        """The packet's time; what it shows or sounds belongs to the video's length."""
        time_s = float(packet.pts * packet.time_base) - self.origin_s
        self._end_s = max(self._end_s, time_s + float((packet.duration or 0) * packet.time_base))
        return time_s

    def take(self, packet: Any) -> None:
        """Decode this key frame, small."""
        for frame in decode_alone(packet):
            if frame.pts is None:
                continue
            # a drained frame has lost its own time base; the stream's is the same
            picture = DecodedPicture(frame, float(frame.pts * self.video.time_base) - self.origin_s)
            self._rotation = picture.rotation_deg
            self.frames.append(Seen.of(picture, self.settings.longest_edge_px))

    def finished_probe(self, found: Probe) -> Probe:
        turned = round(self._rotation / 90) % 2 == 1
        size = (found.height, found.width) if turned else (found.width, found.height)
        steps = sorted(self._steps)
        return dataclasses.replace(
            probing.with_decoded_end(found, self._end_s),
            rotation_deg=self._rotation,
            width=size[0],
            height=size[1],
            variable_frame_rate=bool(steps) and steps[-1] > 1.5 * steps[0],
        )


def fill_gaps(container: Any, passed: _Pass, duration_s: float, settings: ScreenSettings) -> None:
    """Where key frames are further apart than `max_gap_s`, decode forward once through the gap, reference frames only."""
    import av

    times = sorted(f.time_s for f in passed.frames)
    for start_s, end_s in zip(times, [*times[1:], duration_s], strict=True):
        if end_s - start_s <= settings.max_gap_s:
            continue
        passed.video.codec_context.skip_frame = "NONREF"
        passed.video.codec_context.flush_buffers()
        try:
            container.seek(round((start_s + passed.origin_s) / passed.video.time_base), stream=passed.video)
        except av.FFmpegError:
            return  # the source cannot be rewound; the key frames must do
        taken_s = start_s
        for packet in packets(container, passed.video):
            if packet.pts is not None and float(packet.pts * packet.time_base) - passed.origin_s >= end_s:
                break
            for frame in decode_quietly(packet):
                time_s = frame.time - passed.origin_s if frame.time is not None else taken_s
                if taken_s + passed.interval_s <= time_s < end_s:
                    taken_s = time_s
                    passed.frames.append(Seen.of(DecodedPicture(frame, time_s), settings.longest_edge_px))


def to_classify(frames: list[Seen], end_s: float, config: Config) -> tuple[Sample, ...]:
    """Of the frames, as many as are classified; all of them tell how long each picture rested.

    Each stands for the time until the next one, the last until the end.
    """
    frames = thin(sorted(frames, key=lambda f: f.time_s), config.screen.max_frames)
    times = [f.time_s for f in frames]
    rests = rests_s(times, [f.thumbnail for f in frames], config.narrative)
    picks = thin(range(len(frames)), config.screen.max_classified)
    ends = [*(times[i] for i in picks[1:]), max(end_s, times[-1])]
    return tuple(
        Sample(time_s=times[i], until_s=until_s, rested_s=rests[i], jpeg=frames[i].jpeg)
        for i, until_s in zip(picks, ends, strict=True)
    )


def thin(items: Sequence[T], limit: int) -> list[T]:
    """At most `limit` of the items, evenly spread."""
    if len(items) <= limit:
        return list(items)
    picks = np.unique(np.linspace(0, len(items) - 1, limit).round().astype(int))
    return [items[i] for i in picks]
