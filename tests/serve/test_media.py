"""Media through the real decoding child: what is hostile costs the child at most, never the gateway."""

import asyncio
import base64
import io
import os
import signal
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from PIL import Image

from pipelines.resources import Resources
from serve.config import LimitSettings, MediaSettings
from serve.errors import ApiError
from serve.media import MediaReader
from serve.requests import ChatRequest, read_request
from tests.serve.gateways import image, mp4, noisy_png, png, question, video


def plain(*parts: dict[str, Any], reader: MediaReader | None = None, most: int = 1 << 26, **settings: Any) -> Any:
    made = reader or MediaReader(MediaSettings(**({"decoders": 1} | settings)))
    request = read_request(msgspec.json.encode(question(list(parts))), LimitSettings())
    try:
        return asyncio.run(made.plain(request, most))
    finally:
        if reader is None:
            made.close()


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (image(b"hello"), "no whole PNG"),
        (image(png(1, 1)), "1 x 1 pixels"),
        (image(png(56, 56)[:60]), "no whole PNG"),
        (image(png(56, 56), "video/mp4"), "stands where image belongs"),
        (video(png(56, 56), kind="image/png"), "stands where video belongs"),
        (video(b"hello"), "cannot be used"),
        (video(b""), "empty"),
        (video(png(), b"x", kind="video/jpeg"), "no whole PNG"),
        (video(png(56, 56), png(84, 56), kind="video/jpeg"), "differ in size"),
        (video(*[b"x"] * 65, kind="video/jpeg"), "at most 64 frames"),
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64,@@@"}}, "not base64"),
        ({"type": "image_url", "image_url": {"url": "data:image/png,abc"}}, "data: URI"),
        ({"type": "video_url", "video_url": {"url": "data:video/mp4;base64,AAAA,AAAA"}}, "not base64"),
        ({"type": "video_url", "video_url": {"url": "file:///etc/passwd"}}, "data: URI"),
    ],
)  # fmt: skip
def test_bad_media_are_refused_with_their_place(part: dict[str, Any], words: str) -> None:
    with pytest.raises(ApiError, match=words) as refused:
        plain({"type": "text", "text": "see"}, part)
    assert refused.value.status == 400
    assert refused.value.param == "messages[0].content[1]"


def test_bad_films_are_refused(tmp_path: Path) -> None:
    whole = mp4(tmp_path, seconds=6, size=(320, 240))
    reader = MediaReader(MediaSettings(decoders=1, video_seconds=10, video_pixels=100_000))
    for film, words in (
        (whole[: len(whole) // 2], "cannot be used"),
        (mp4(tmp_path, seconds=20), "lasts 20 s"),
        (mp4(tmp_path, seconds=1, size=(400, 300)), "400 x 300"),
        (mp4(tmp_path, seconds=1, size=(2, 2)), "2 x 2"),
        (mp4(tmp_path, seconds=1, video=False, audio=True), "no video stream"),
    ):
        with pytest.raises(ApiError, match=words):
            plain(video(film), reader=reader)
    messages, fps = plain(video(whole), reader=reader)
    assert (messages[0]["content"][0]["video_url"]["url"].count(","), fps) == (6, 1.0)
    reader.close()


def test_limits_of_counts_and_bytes() -> None:
    with pytest.raises(ApiError, match="at most 2 pictures"):
        plain(*[image(png())] * 3, images=2)
    with pytest.raises(ApiError, match="at most 0 videos"):
        plain(video(png(), kind="video/jpeg"), videos=0)
    with pytest.raises(ApiError, match="too large together") as refused:
        plain(*[image(noisy_png(1))] * 3, most=50_000)
    assert refused.value.status == 413


def stopped(reader: MediaReader) -> int:
    """The child's process, stopped: it hangs in whatever it is asked next."""
    plain(image(png()), reader=reader)
    child = reader._all[0]._child
    assert child is not None
    os.kill(child.pid, signal.SIGSTOP)
    return child.pid


def request_of(*parts: dict[str, Any]) -> ChatRequest:
    return read_request(msgspec.json.encode(question(list(parts))), LimitSettings())


def test_a_child_that_dies_costs_one_request() -> None:
    reader = MediaReader(MediaSettings(decoders=1))
    pid = stopped(reader)

    async def crash() -> None:
        work = asyncio.create_task(reader.plain(request_of(image(png())), 1 << 26))
        await asyncio.sleep(0.3)
        assert not work.done()
        os.kill(pid, signal.SIGSEGV)
        os.kill(pid, signal.SIGCONT)
        await work

    with pytest.raises(ApiError, match=r"crashed the decoder \(signal 11"):
        asyncio.run(crash())
    assert plain(image(png()), reader=reader)[0]
    reader.close()


def test_a_child_that_hangs_costs_one_request() -> None:
    reader = MediaReader(MediaSettings(decoders=1, decode_timeout_s=20))
    stopped(reader)
    reader._all[0]._resources = Resources(deadline_base_s=0.5)
    with pytest.raises(ApiError, match="takes too long"):
        plain(image(png()), reader=reader)
    reader._all[0]._resources = Resources(deadline_base_s=20)
    assert plain(image(png()), reader=reader)[0]
    reader.close()


def test_a_request_that_is_given_up_frees_the_child() -> None:
    reader = MediaReader(MediaSettings(decoders=1))
    stopped(reader)

    async def go() -> None:
        work = asyncio.create_task(reader.plain(request_of(image(png())), 1 << 26))
        await asyncio.sleep(0.3)
        assert not work.done()
        work.cancel()
        await asyncio.wait([work], timeout=5)
        assert work.cancelled()
        await asyncio.wait_for(reader.plain(request_of(image(png())), 1 << 26), 20)

    asyncio.run(go())
    reader.close()


def test_a_picture_is_lossless() -> None:
    data = noisy_png(3)
    messages, _ = plain(image(data))
    sent = base64.b64decode(messages[0]["content"][0]["image_url"]["url"].partition(",")[2])
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(sent))), np.asarray(Image.open(io.BytesIO(data))))
