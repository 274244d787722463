"""Opening hostile media files: local paths, `s3://` and `https://`, upright frames, one clock.

Only demuxers that read a single file are allowed: a playlist or a concatenation script named .mp4 could otherwise make
the decoder read other files or addresses of this machine.
"""

import contextlib
import os
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from pipelines.errors import RowError
from pipelines.media_file import local_file, remote_file, words_of
from pipelines.schema import Reason

FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,flv,mpegts,mpeg,mpegvideo,asf,ogg,wav,mp3,flac,aac,mxf,nut,dv,"
    "h264,hevc,ivf,gif,rm,wtv,aiff,amr,ac3,eac3"
)
"""Demuxers that never follow a reference to another file."""


def is_remote(uri: str) -> bool:
    """Whether `uri` is an address and not a local path."""
    return uri.startswith(("s3://", "http://", "https://"))


def public_uri(uri: str) -> str:
    """The address without user, password and query: signed addresses carry keys there."""
    if not is_remote(uri):
        return uri
    # not urlsplit: it refuses what is no address, and a row of a manifest may hold anything
    scheme, _, rest = uri.partition("://")
    if scheme != "s3":  # a key may hold either sign
        rest = re.split(r"[?#]", rest, maxsplit=1)[0]
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


@contextlib.contextmanager
def open_media(uri: str) -> Iterator[Any]:
    """A PyAV input container.

    Raises:
        RowError: `missing`, `unreachable` (also when the connection or the disk fails later) or `unreadable`, with the
            library's own words.
    """
    with contextlib.ExitStack() as stack:
        source: Any = f"file:{os.path.abspath(uri)}"
        if is_remote(uri):
            source = stack.enter_context(remote_file(uri))
        elif os.path.isfile(uri):  # what is none is FFmpeg's to refuse, or to wait for: a pipe
            source = stack.enter_context(local_file(os.path.abspath(uri)))
        yield stack.enter_context(_container(source))


@contextlib.contextmanager
def _container(source: Any) -> Iterator[Any]:
    import av

    options = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
    try:
        container = av.open(source, options=options, metadata_errors="ignore")
    except FileNotFoundError as error:
        raise RowError(Reason.MISSING, "there is no such file") from error
    except (av.FFmpegError, OSError, ValueError) as error:
        raise RowError(Reason.UNREADABLE, words_of(error)) from error
    with container:
        yield container


def clock_origin_s(container: Any) -> float:
    """The presentation time that players show as 0:00."""
    import av

    return float(container.start_time / av.time_base) if container.start_time else 0.0


def upright(pixels: np.ndarray, rotation_deg: int) -> np.ndarray:
    """`pixels` (H, W[, 3]) turned as the container's display matrix asks; `rotation_deg` counts anticlockwise."""
    turns = round(rotation_deg / 90) % 4
    return np.ascontiguousarray(np.rot90(pixels, turns)) if turns else pixels


def rotation(frame: Any) -> int:
    """How far the frame must be turned anticlockwise, degrees; a degenerate display matrix turns nothing."""
    try:
        return int(frame.rotation)
    except ValueError:  # PyAV meets a NaN
        return 0


RED_WEIGHT = 0.75


class DecodedPicture:
    """One decoded video frame, upright, reduced only on request."""

    def __init__(self, frame: Any, time_s: float) -> None:
        self._frame, self.time_s = frame, time_s
        self.rotation_deg = rotation_deg = rotation(frame)
        turned = round(rotation_deg / 90) % 2 == 1
        self.width, self.height = (frame.height, frame.width) if turned else (frame.width, frame.height)

    def luma(self, width: int) -> np.ndarray:
        """(h, width) uint8, averaged over areas; never enlarged."""
        import cv2

        scale, plane = min(1.0, width / self.width), self._luma_plane()
        size = (max(1, round(self._frame.width * scale)), max(1, round(self._frame.height * scale)))
        return upright(plane if scale == 1.0 else cv2.resize(plane, size, interpolation=cv2.INTER_AREA), self.rotation_deg)

    def halved_luma(self, max_width: int) -> np.ndarray:
        """(h, w) uint8, halved until it is at most `max_width` wide: exact halves are ten times as fast as other sizes."""
        import cv2

        plane, width = self._luma_plane(), self.width
        while width > max_width:
            plane = cv2.resize(plane, (plane.shape[1] // 2 or 1, plane.shape[0] // 2 or 1), interpolation=cv2.INTER_AREA)
            width //= 2
        return upright(plane, self.rotation_deg)

    def pointer_luma(self, max_width: int) -> np.ndarray:
        """(h, w) uint8 as `halved_luma`, less the red difference: a coloured dot as bright as the picture stands out too."""
        import cv2

        luma = self.halved_luma(max_width)
        if self._frame.format.name not in ("yuv420p", "yuvj420p"):
            return luma.copy()
        plane = self._frame.planes[2]
        rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
        red = upright(rows[: plane.height, : plane.width], self.rotation_deg)
        if red.shape != luma.shape:
            red = cv2.resize(red, luma.shape[::-1], interpolation=cv2.INTER_LINEAR)
        return np.asarray(cv2.addWeighted(luma, 1.0, red, -RED_WEIGHT, 128 * RED_WEIGHT))

    def rgb(self) -> np.ndarray:
        """(H, W, 3) uint8, full size."""
        return upright(self._frame.to_ndarray(format="rgb24"), self.rotation_deg)

    def small_rgb(self, longest_edge_px: int) -> np.ndarray:
        """(h, w, 3) uint8 with the longer edge at most `longest_edge_px`."""
        scale = min(1.0, longest_edge_px / max(self.width, self.height))
        size = (max(2, round(self._frame.width * scale)), max(2, round(self._frame.height * scale)))
        small = self._frame.reformat(width=size[0], height=size[1], format="rgb24", interpolation="AREA")
        return upright(small.to_ndarray(), self.rotation_deg)

    def _luma_plane(self) -> np.ndarray:
        if self._frame.format.name in ("yuv420p", "yuvj420p", "yuv422p", "yuv444p", "nv12", "yuvj422p", "yuvj444p"):
            plane = self._frame.planes[0]
            rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
            return rows[: self._frame.height, : self._frame.width]
        return np.asarray(self._frame.to_ndarray(format="gray"))


def decode_quietly(packet: Any) -> list[Any]:
    """The packet's frames; a packet of damaged data gives none (what is decodable is used)."""
    import av

    try:
        return list(packet.decode())
    except MemoryError:
        raise
    except av.FFmpegError:
        return []


def decode_alone(packet: Any) -> list[Any]:
    """The frames of a key frame's packet by itself: the decoder is drained, so nothing waits for later packets."""
    import av

    context = packet.stream.codec_context
    try:
        return [*context.decode(packet), *context.decode(None)]
    except MemoryError:
        raise
    except av.FFmpegError:
        return []
    finally:
        context.flush_buffers()


def packets(container: Any, *streams: Any) -> Iterator[Any]:
    """Demuxed packets to the end of the file, or to where it breaks off."""
    import av

    demuxed = container.demux(*streams)
    while True:
        try:
            packet = next(demuxed)
        except StopIteration:
            return
        except MemoryError:
            raise
        except (av.FFmpegError, OSError):
            return
        yield packet


def to_jpeg(rgb: np.ndarray, quality: int = 92) -> bytes:
    """RGB uint8 (H, W, 3) as JPEG, chroma at full resolution."""
    import cv2

    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    done, data = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise ValueError(f"a picture of shape {rgb.shape} could not be encoded")
    return bytes(data)


def from_jpeg(data: bytes) -> np.ndarray:
    """RGB uint8 (H, W, 3)."""
    import cv2

    return np.asarray(cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB))
