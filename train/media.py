"""Pictures and films as arrays, read and decoded once for each use."""

import contextlib
import hashlib
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageOps
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.errors import RowError
from pipelines.image_file import filesystem
from pipelines.media import DecodedPicture, clock_origin_s, decode_quietly, is_remote, open_media, packets
from pipelines.schema import Reason
from pipelines.stages.probe import decodable
from train.budget import frame_times
from train.config import VisionSettings
from train.samples import Media


def picture(media: Media) -> PIL.Image.Image:
    """The picture, RGB, upright.

    Raises:
        RowError: it is missing, unreadable, or not the one that was indexed.
    """
    data = _stored(media) if media.image_id is not None else _bytes(media.uri)
    with _decoding(media.uri), PIL.Image.open(io.BytesIO(data)) as image:
        upright = PIL.ImageOps.exif_transpose(image).convert("RGB")
    if upright.size != (media.width, media.height):
        raise RowError(Reason.UNREADABLE, f"{media.uri} is {upright.size[0]}x{upright.size[1]}, and was not when indexed")
    return upright


def picture_size(uri: str) -> tuple[int, int]:
    """Width and height, upright; reads the header only."""
    with _decoding(uri), PIL.Image.open(io.BytesIO(_bytes(uri))) as image:
        turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
        return (image.height, image.width) if turned else (image.width, image.height)


def film(media: Media, vision: VisionSettings) -> np.ndarray:
    """The film's frames at their times, (frames, height, width, 3) uint8, in one decode from the key frame before.

    At each of its times a player shows the last frame that has come by then: so does this.
    """
    times = frame_times(media.start_s, media.end_s, vision)
    if len(times) != media.frames:
        raise RowError(Reason.STAGE_ERROR, f"{len(times)} frames are asked for, {media.frames} were when indexed")
    frames: list[np.ndarray] = []
    shown: DecodedPicture | None = None
    for decoded in _decoded(media.uri, media.start_s):
        while len(frames) < len(times) and decoded.time_s > times[len(frames)] + 1e-3 and shown is not None:
            frames.append(_reduced(shown, media))
        if len(frames) == len(times):
            break
        shown = decoded
    if shown is None:
        raise RowError(Reason.UNREADABLE, f"{media.uri} has no frame at {media.start_s:.1f} s")
    missing = len(times) - len(frames)
    if missing and shown.time_s < times[-1] - max(2.0, 2 / vision.fps):
        raise RowError(Reason.UNREADABLE, f"{media.uri} ends at {shown.time_s:.1f} s, before {times[-1]:.1f} s")
    frames += [_reduced(shown, media)] * missing
    return np.stack(frames)


def film_length_and_size(uri: str) -> tuple[float, int, int]:
    """Seconds, width and height, upright."""
    with open_media(uri) as container:
        stream = next(iter(container.streams.video), None)
        if stream is None:
            raise RowError(Reason.NO_VIDEO, uri)
        decodable(stream)
        length = _length_s(container, stream)
        first = next((f for p in packets(container, stream) for f in decode_quietly(p)), None)
        if first is None or length <= 0:
            raise RowError(Reason.UNREADABLE, f"{uri} has no frames, or does not say how long it is")
        seen = DecodedPicture(first, 0.0)
        return length, seen.width, seen.height


def _length_s(container: Any, stream: Any) -> float:
    import av

    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return float(container.duration / av.time_base) if container.duration else 0.0


def _decoded(uri: str, start_s: float) -> Iterator[DecodedPicture]:
    import av

    with open_media(uri) as container:
        stream = next(iter(container.streams.video), None)
        if stream is None:
            raise RowError(Reason.NO_VIDEO, uri)
        decodable(stream).thread_type = "AUTO"
        origin = clock_origin_s(container)
        if start_s > 1.0:
            with contextlib.suppress(av.FFmpegError):  # a file that cannot seek is read from its beginning
                container.seek(round((origin + start_s) / float(stream.time_base)), stream=stream)
        for packet in packets(container, stream):
            for frame in decode_quietly(packet):
                if frame.pts is not None:
                    yield DecodedPicture(frame, float(frame.pts * stream.time_base) - origin)


def _reduced(decoded: DecodedPicture, media: Media) -> np.ndarray:
    import cv2

    return np.asarray(cv2.resize(decoded.rgb(), (media.width, media.height), interpolation=cv2.INTER_AREA))


def _stored(media: Media) -> bytes:
    """A curated picture: only its own row group is read, and its hash is its name."""
    fs, path = filesystem(media.uri)
    begins, row = 0, media.row or 0
    try:
        with fs.open_input_file(path) as source:
            file = pq.ParquetFile(source)
            for group in range(file.num_row_groups):
                count = file.metadata.row_group(group).num_rows
                if row < begins + count:
                    data = file.read_row_group(group, columns=["data"]).column("data")[row - begins].as_py()
                    break
                begins += count
            else:
                raise RowError(Reason.MISSING, f"{media.uri} has no row {row}")
    except FileNotFoundError as error:
        raise RowError(Reason.MISSING, media.uri) from error
    except (pa.ArrowException, OSError) as error:
        raise RowError(Reason.UNREADABLE, f"{media.uri}: {error}") from error
    if hashlib.sha256(data).hexdigest() != media.image_id:
        raise RowError(Reason.UNREADABLE, f"row {row} of {media.uri} is not the picture {media.image_id}")
    return bytes(data)


def _bytes(uri: str) -> bytes:
    if is_remote(uri) and not uri.startswith("s3://"):
        raise RowError(Reason.UNREACHABLE, f"{uri}: pictures are read from local folders and s3://")
    fs, path = filesystem(uri)
    try:
        with fs.open_input_stream(path) as file:
            return bytes(file.read())
    except FileNotFoundError as error:
        raise RowError(Reason.MISSING, uri) from error
    except (pa.ArrowException, OSError) as error:
        raise RowError(Reason.UNREADABLE, f"{uri}: {error}") from error


@contextlib.contextmanager
def _decoding(uri: str) -> Iterator[None]:
    try:
        yield
    except PIL.UnidentifiedImageError as error:  # whose own words name an address in memory
        raise RowError(Reason.UNREADABLE, f"{uri} is no picture") from error
    except (OSError, ValueError, SyntaxError, PIL.Image.DecompressionBombError) as error:
        raise RowError(Reason.UNREADABLE, f"{uri}: {error}") from error
