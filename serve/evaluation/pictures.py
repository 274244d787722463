"""Pictures and films as parts of a chat message: data URIs, films whole or as frames."""

import base64
import contextlib
import io
import os
import tempfile
from collections.abc import Iterator
from typing import Any

import PIL.Image

from pipelines.errors import RowError
from pipelines.media import DecodedPicture, clock_origin_s, decode_quietly, open_media, packets, to_jpeg
from pipelines.schema import Reason as RowReason
from pipelines.stages.probe import audio_stream, breaks_off, decodable
from serve.evaluation.answer import Fault, Reason
from serve.evaluation.config import Film, Settings
from serve.evaluation.question import Media, Medium

_SENT_AS_THEY_ARE = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "GIF": "image/gif"}


def parts(media: Media, settings: Settings) -> list[dict[str, Any]]:
    """The message parts that show `media`.

    Raises:
        Fault: it is missing, too large or cannot be read.
    """
    data = media.read()
    if len(data) > settings.max_media_mb * 1e6:
        raise Fault(
            Reason.MEDIA_TOO_LARGE,
            f"{media.media_id} has {len(data) / 1e6:.0f} MB, max_media_mb is {settings.max_media_mb:g}",
        )
    if not data:
        raise Fault(Reason.MEDIA_UNREADABLE, f"{media.media_id} is empty")
    if media.medium is Medium.IMAGE:
        mime, shown = _picture(media.media_id, data, settings.max_edge_px)
        return [_image_part(mime, shown)]
    if settings.video is Film.MP4:
        return [{"type": "video_url", "video_url": {"url": _uri("video/mp4", data)}}]
    return [_image_part("image/jpeg", frame) for frame in frames(media.media_id, data, settings)]


def _uri(mime: str, data: bytes) -> str:
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"


def _image_part(mime: str, data: bytes) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": _uri(mime, data)}}


def _picture(name: str, data: bytes, max_edge_px: int) -> tuple[str, bytes]:
    """The file itself where servers know its format and it is small enough, else a PNG of it."""
    try:
        with PIL.Image.open(io.BytesIO(data)) as picture:
            picture.load()
            fits = not max_edge_px or max(picture.size) <= max_edge_px
            if fits and picture.format in _SENT_AS_THEY_ARE:
                return _SENT_AS_THEY_ARE[picture.format], data
            small = picture.convert("RGB")
    except (OSError, SyntaxError, ValueError, PIL.Image.DecompressionBombError) as error:
        raise Fault(Reason.MEDIA_UNREADABLE, f"{name}: {str(error).splitlines()[0][:150]}") from error
    if not fits:
        small.thumbnail((max_edge_px, max_edge_px))
    buffer = io.BytesIO()
    small.save(buffer, "PNG")
    return "image/png", buffer.getvalue()


def frames(name: str, data: bytes, settings: Settings) -> list[bytes]:
    """JPEGs at `frame_rate`, at most `max_frames`, evenly spread over a longer film.

    Raises:
        Fault: it cannot be read, or breaks off well before the duration that it announces.
    """
    with _as_file(data) as path:
        try:
            found = list(_sampled(path, settings))
        except RowError as error:
            raise Fault(Reason.MEDIA_UNREADABLE, f"{name}: {error.detail}") from error
    if not found:
        raise Fault(Reason.MEDIA_UNREADABLE, f"{name} has no frame that can be decoded")
    return found


@contextlib.contextmanager
def _as_file(data: bytes) -> Iterator[str]:
    handle, path = tempfile.mkstemp(suffix=".mp4")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        yield path
    finally:
        os.unlink(path)


def _sampled(path: str, settings: Settings) -> Iterator[bytes]:
    import av

    with open_media(path) as container:
        if not container.streams.video:
            raise RowError(RowReason.NO_VIDEO, "there is no video in it")
        stream, origin_s = decodable(container.streams.video[0]), clock_origin_s(container)
        duration_s = float(container.duration / av.time_base) if container.duration else 0.0
        step_s = 1 / settings.frame_rate
        if duration_s and duration_s * settings.frame_rate > settings.max_frames:
            step_s = duration_s / settings.max_frames
        sound = audio_stream(container)  # a last picture may be held while the sound goes on
        count, end_s, last_packet_s, last_frame_s = 0, 0.0, 0.0, 0.0
        for packet in packets(container, *filter(None, (stream, sound))):
            ticks = packet.dts if packet.pts is None else packet.pts  # AVI gives no pts
            if ticks is not None:
                end_s = max(end_s, float((ticks + (packet.duration or 0)) * packet.time_base) - origin_s)
            if packet.stream.type != "video":
                continue
            if ticks is not None:
                last_packet_s = max(last_packet_s, float(ticks * packet.time_base) - origin_s)
            for frame in decode_quietly(packet):
                if frame.time is None:
                    continue
                last_frame_s = max(last_frame_s, frame.time - origin_s)
                if frame.time - origin_s < count * step_s - 1e-6:
                    continue
                if count == settings.max_frames:
                    return
                count += 1
                picture = DecodedPicture(frame, frame.time - origin_s)
                edge = settings.max_edge_px or max(picture.width, picture.height)
                yield to_jpeg(picture.small_rgb(edge))
        if breaks_off(duration_s, end_s) or breaks_off(last_packet_s, last_frame_s):  # the latter: damaged data to the end
            raise RowError(RowReason.UNREADABLE, f"it breaks off after {min(end_s, last_frame_s):.1f} s")
