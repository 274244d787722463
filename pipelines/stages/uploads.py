"""Pictures and films that somebody uploads, reduced to plain pictures; what exceeds a limit is refused before it is decoded.

Runs in the decoding child: every byte here is hostile.
"""

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pipelines import media
from pipelines.errors import RowError
from pipelines.schema import Probe, Reason
from pipelines.stages import probe as probing

PICTURE_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadLimits:
    """What is accepted, and to what it is reduced."""

    image_pixels: int
    min_side_px: int
    max_aspect: float
    video_seconds: float
    video_pixels: int
    video_fps: float
    frames: int
    frame_pixels: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """Frames of one size as JPEG, taken `interval_s` apart."""

    frames: tuple[bytes, ...]
    interval_s: float


def picture(data: bytes, limits: UploadLimits, *, reduce_to: int | None = None) -> bytes:
    """The picture as an upright 8-bit RGB PNG without metadata, reduced to `reduce_to` pixels if it has more.

    Raises:
        RowError: `unreadable`, with a sentence's end.
    """
    from PIL import Image, ImageOps

    Image.MAX_IMAGE_PIXELS = None  # checked here, against the caller's limit
    try:
        with Image.open(io.BytesIO(data), formats=PICTURE_FORMATS) as image:
            _check_size(image.width, image.height, limits.image_pixels, limits)
            if getattr(image, "is_animated", False):
                raise RowError(Reason.UNREADABLE, "it is animated; send it as a video")
            if image.mode.startswith(("I", "F")):
                raise RowError(Reason.UNREADABLE, "it has more than 8 bits a channel; window it to 8 bits first")
            image.load()
            upright = ImageOps.exif_transpose(image)
            if upright.mode in ("RGBA", "LA", "PA") or "transparency" in upright.info:
                upright = Image.alpha_composite(Image.new("RGBA", upright.size, "white"), upright.convert("RGBA"))
            rgb = upright.convert("RGB")
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        words = (str(error).strip().splitlines() or [""])[0].split("<")[0]
        raise RowError(Reason.UNREADABLE, f"it is no whole PNG, JPEG, WebP, GIF or BMP ({words[:120].strip()})") from error
    if reduce_to is not None and rgb.width * rgb.height > reduce_to:
        rgb = rgb.resize(_reduced(rgb.width, rgb.height, reduce_to), Image.Resampling.BOX)
    out = io.BytesIO()
    rgb.save(out, "PNG", compress_level=1)
    return out.getvalue()


def film(uri: str, limits: UploadLimits) -> Iterator[Probe | Film]:
    """First what the container says, then the frames.

    Raises:
        RowError: `unreadable`, `no_video` or `too_long`, with a sentence's end.
    """
    with media.open_media(uri) as container:
        found = probing.probe(container)
        stream = probing.video_stream(container)
        if stream is None:
            raise RowError(Reason.NO_VIDEO, "it has no video stream")
        _check_size(found.width or 0, found.height or 0, limits.video_pixels, limits)
        _check_length(found.duration_s, limits)
        yield found
        interval_s = max(1.0 / limits.video_fps, found.duration_s / limits.frames)
        frames, end_s, whole = _frames(container, stream, interval_s, limits)
        if not frames or not whole or probing.with_decoded_end(found, end_s).truncated:
            raise RowError(Reason.UNREADABLE, f"it is damaged or breaks off after {end_s:.1f} s")
        yield Film(frames=frames, interval_s=interval_s)


def _frames(container: Any, stream: Any, interval_s: float, limits: UploadLimits) -> tuple[tuple[bytes, ...], float, bool]:
    """What is shown every `interval_s`; where picture and sound end; whether all could be decoded."""
    import av

    stream.codec_context.thread_count = 1
    sound = probing.audio_stream(container)  # a last picture may be held while the sound goes on
    origin_s = media.clock_origin_s(container)
    reel, end_s = _Reel(interval_s, limits), 0.0
    for packet in media.packets(container, *filter(None, (stream, sound))):
        if packet.pts is not None:
            end_s = max(end_s, float((packet.pts + (packet.duration or 0)) * packet.time_base) - origin_s)
            _check_length(end_s, limits)
        if packet.stream.type != "video":
            continue
        try:
            decoded = list(packet.decode())
        except av.FFmpegError:
            return (), end_s, False
        for frame in decoded:
            reel.show(media.DecodedPicture(frame, (frame.time or 0.0) - origin_s))
    return reel.until(end_s), end_s, True


class _Reel:
    """Holds the picture that is shown until the next one comes, and takes it at every sampling time in between."""

    def __init__(self, interval_s: float, limits: UploadLimits) -> None:
        self._interval_s, self._limits = interval_s, limits
        self._taken: list[bytes] = []
        self._shown: media.DecodedPicture | None = None
        self._size: tuple[int, int] | None = None

    def show(self, picture: media.DecodedPicture) -> None:
        if self._shown is not None:
            self.until(picture.time_s)
        self._shown = picture

    def until(self, time_s: float) -> tuple[bytes, ...]:
        """Everything taken before `time_s`; the first picture in any case."""
        jpeg = None
        while self._shown is not None and len(self._taken) < self._limits.frames:
            if self._taken and len(self._taken) * self._interval_s >= time_s - 1e-3:
                break
            jpeg = jpeg or self._jpeg(self._shown)
            self._taken.append(jpeg)
        return tuple(self._taken)

    def _jpeg(self, picture: media.DecodedPicture) -> bytes:
        size = (picture.width, picture.height)
        _check_size(*size, self._limits.video_pixels, self._limits)
        if self._size not in (None, size):
            raise RowError(Reason.UNREADABLE, "its frames change their size")
        self._size = size
        return media.to_jpeg(picture.small_rgb(max(_reduced(*size, self._limits.frame_pixels))), 95)


def _check_size(width: int, height: int, most: int, limits: UploadLimits) -> None:
    if width * height > most:
        raise RowError(Reason.UNREADABLE, f"it has {width} x {height} pixels; at most {most} are accepted")
    if min(width, height) < limits.min_side_px or max(width, height) > limits.max_aspect * min(width, height):
        most_aspect = f"{limits.max_aspect:g} times as long as the other"
        raise RowError(
            Reason.UNREADABLE,
            f"it has {width} x {height} pixels; each side needs at least {limits.min_side_px}, and be at most {most_aspect}",
        )


def _check_length(seconds: float, limits: UploadLimits) -> None:
    if seconds > limits.video_seconds:
        raise RowError(Reason.TOO_LONG, f"it lasts {seconds:.0f} s; at most {limits.video_seconds:g} s are accepted")


def _reduced(width: int, height: int, most: int) -> tuple[int, int]:
    scale = min(1.0, math.sqrt(most / (width * height)))
    return max(1, int(width * scale)), max(1, int(height * scale))
