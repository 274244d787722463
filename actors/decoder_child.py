"""The process that touches hostile media: answers requests over a socket until its parent goes away.

It is started by `actors.decoder` as `python -m actors.decoder_child FD MEMORY_BYTES`. A file that crashes a codec kills
this process and nothing else. Messages are msgpack, never pickle: a taken-over decoder must not reach the parent.
"""

import contextlib
import functools
import os
import resource
import sys
import threading
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any

import msgspec
import pyarrow as pa

from actors.cursor_net import CursorNet
from actors.memory import give_back
from actors.requests import (
    AudioRequest,
    AudioWindow,
    Broken,
    Done,
    Failed,
    FilmRequest,
    Looked,
    LookRequest,
    Message,
    PicturesRequest,
    Probed,
    Request,
    Screened,
    ScreenRequest,
    Seen,
)
from pipelines import media
from pipelines.errors import EnvironmentFault, RowError
from pipelines.image_file import ImageFile
from pipelines.job import to_bytes
from pipelines.schema import Probe, Reason
from pipelines.stages import audio as audio_pass
from pipelines.stages import probe as probing
from pipelines.stages import screen as screen_pass
from pipelines.stages import uploads

_GIVE_BACK_EVERY_S = 60.0
"""Of the video: what the pass keeps of each rest lies between what it drops."""


def answer(request: Request) -> Iterator[Message]:
    """The messages that answer one request.

    Raises:
        RowError: the input's own fault.
    """
    if isinstance(request, ScreenRequest):
        yield from _screen(request)
    elif isinstance(request, AudioRequest):
        for start_s, samples in audio_pass.audio_windows(request.uri, request.windows):
            yield AudioWindow(start_s=start_s, pcm=samples.tobytes())
    elif isinstance(request, PicturesRequest):
        yield _pictures_sent(request)
    elif isinstance(request, FilmRequest):
        for found in uploads.film(request.uri, request.limits):
            yield Probed(probe=found) if isinstance(found, Probe) else Seen(
                pictures=found.frames, interval_s=found.interval_s
            )
    else:
        yield _look(request)


def _pictures_sent(request: PicturesRequest) -> Seen:
    reduce_to = request.limits.frame_pixels if request.as_frames else None
    pictures = tuple(uploads.picture(data, request.limits, reduce_to=reduce_to) for data in request.pictures)
    # a PNG's width and height are bytes 16 to 24
    if request.as_frames and len({png[16:24] for png in pictures}) > 1:
        raise RowError(Reason.UNREADABLE, "its frames differ in size")
    return Seen(pictures=pictures)


def _screen(request: ScreenRequest) -> Iterator[Message]:
    for found in screen_pass.screen(request.uri, request.config):
        if isinstance(found, Probe):
            yield Probed(probe=found)
        else:
            yield Screened(probe=found.probe, speech=found.speech, audio_s=found.audio_s, frames=found.frames)


def _look(request: LookRequest) -> Looked:
    from pipelines.stages.look import look

    with (
        media.open_media(request.uri) as container,
        ImageFile(request.out, request.video_id, request.settings.image_quality) as images,
    ):
        pictures = _pictures(container)
        found = look(
            pictures, static=request.static, settings=request.settings, keep=images.keep, net=_cursor_net(),
            until_s=request.until_s,
        )  # fmt: skip
        try:
            images.commit({i.image_id for i in found.intervals})
        except (OSError, pa.ArrowException) as error:  # a full disk, lost credentials: no video's fault
            raise EnvironmentFault(f"Pictures cannot be written to {request.out}: {error}") from error
    return Looked(scene_cuts_s=found.scene_cuts_s, intervals=found.intervals, frames=found.frames)


@functools.cache
def _cursor_net() -> CursorNet:
    return CursorNet()


def _pictures(container: Any) -> Iterator[media.DecodedPicture]:
    """Every decodable frame in presentation order, upright, on the video's clock."""
    stream = probing.video_stream(container)
    if stream is None:
        raise RowError(Reason.NO_VIDEO)
    stream.codec_context.thread_count = 1
    origin_s = media.clock_origin_s(container)
    last_s, given_back_s = -1.0, 0.0
    for packet in media.packets(container, stream):
        for frame in media.decode_quietly(packet):
            if frame.time is not None and frame.time - origin_s > last_s:
                last_s = frame.time - origin_s
                yield media.DecodedPicture(frame, last_s)
        if last_s >= given_back_s + _GIVE_BACK_EVERY_S:
            given_back_s = last_s
            give_back()


def serve(connection: Connection) -> None:
    """Answer requests until the parent closes its end."""
    decoder = msgspec.msgpack.Decoder(Request)
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            request = decoder.decode(connection.recv_bytes())
            try:
                for message in answer(request):
                    connection.send_bytes(to_bytes(message))
                connection.send_bytes(to_bytes(Done()))
            except RowError as error:
                connection.send_bytes(to_bytes(Failed(reason=error.reason, detail=error.detail)))
            except EnvironmentFault as error:
                connection.send_bytes(to_bytes(Broken(detail=str(error))))
            except MemoryError:
                connection.send_bytes(to_bytes(Failed(reason=Reason.OUT_OF_MEMORY, detail="the decoder's memory limit")))


def _die_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def main() -> None:
    """Entry point of the child process."""
    descriptor, memory_bytes, parent = (int(a) for a in sys.argv[1:4])
    resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    threading.Thread(target=_die_with_parent, args=(parent,), daemon=True).start()
    import av.logging
    import cv2

    av.logging.set_level(av.logging.PANIC)
    cv2.setNumThreads(1)
    serve(Connection(descriptor))


if __name__ == "__main__":
    main()
