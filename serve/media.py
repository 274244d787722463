"""From what a request holds or names to plain pictures: fetched with care, decoded in a killable child."""

import asyncio
import base64
import binascii
import contextlib
import math
import re
import tempfile
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from actors.decoder import Decoder
from actors.requests import FilmRequest, PicturesRequest, Seen
from pipelines.errors import RowError
from pipelines.resources import Resources
from pipelines.schema import Reason
from pipelines.stages.uploads import UploadLimits
from serve.addresses import Fetcher
from serve.config import MediaSettings
from serve.errors import ApiError, bad
from serve.requests import ChatRequest, ImagePart, Message, TextPart, VideoPart

_DATA = re.compile(r"data:(image|video)/([a-z0-9.+-]{1,40})(?:;[a-z0-9=._-]{1,80}){0,4};base64,", re.IGNORECASE)
FRAMES = ("jpeg", "jpg")
"""`data:video/jpeg` is a list of pictures, as in vLLM."""


def upload_limits(settings: MediaSettings) -> UploadLimits:
    """The part of the settings that the child needs."""
    return UploadLimits(**{name: getattr(settings, name) for name in UploadLimits.__dataclass_fields__})


class MediaReader:
    """Owns the decoding children. One picture or video occupies one child; more wait for it."""

    def __init__(self, settings: MediaSettings) -> None:
        self._settings, self._limits = settings, upload_limits(settings)
        resources = Resources(
            decoder_memory_gib=settings.decoder_memory_gib,
            deadline_base_s=settings.decode_timeout_s,
            deadline_per_video_s=settings.decode_timeout_per_second,
        )
        self._all = [Decoder(resources) for _ in range(settings.decoders)]
        self._free: asyncio.Queue[Decoder] = asyncio.Queue()
        for decoder in self._all:
            self._free.put_nowait(decoder)
        self._threads = ThreadPoolExecutor(settings.decoders + 2, thread_name_prefix="media")

    def close(self) -> None:
        """End the children."""
        for decoder in self._all:
            decoder.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def plain(self, request: ChatRequest, most_bytes: int) -> tuple[list[dict[str, Any]], float | None]:
        """The messages with every picture as PNG and every video as frames, and the videos' frames per second.

        Raises:
            ApiError: a sentence about the picture or video that is wrong.
        """
        self._count(request)
        budget = _Budget(most_bytes)
        rates: set[float] = set()
        messages = []
        async with contextlib.AsyncExitStack() as stack:
            fetcher: Fetcher | None = None
            if any(p_url(p).lower().startswith("https:") for m in request.messages for p in parts_of(m)):
                fetcher = await stack.enter_async_context(Fetcher(self._settings))
            for number, message in enumerate(request.messages):
                where = f"messages[{number}].content"
                content: Any = message.content
                if not isinstance(content, str):
                    content = [await self._part(p, f"{where}[{i}]", fetcher, budget, rates) for i, p in enumerate(content)]
                role = "system" if message.role == "developer" else message.role
                name = {"name": message.name} if message.name else {}
                messages.append({"role": role, "content": content, **name})
        if len(rates) > 1:
            raise bad("The videos of one request must have one frame rate: shorten the longest, or send frames.", "messages")
        return messages, next(iter(rates), None)

    def _count(self, request: ChatRequest) -> None:
        parts = [p for m in request.messages for p in parts_of(m)]
        for kind, most, word in ((ImagePart, self._settings.images, "pictures"),
                                 (VideoPart, self._settings.videos, "videos")):  # fmt: skip
            if sum(isinstance(p, kind) for p in parts) > most:
                raise bad(f"A request may have at most {most} {word}.", "messages")

    async def _part(self, part: TextPart | ImagePart | VideoPart, where: str, fetcher: Fetcher | None, budget: "_Budget",
                    rates: set[float]) -> dict[str, Any]:  # fmt: skip
        if isinstance(part, TextPart):
            return {"type": "text", "text": part.text}
        kind = "image" if isinstance(part, ImagePart) else "video"
        pieces, subtype = await self._bytes(p_url(part), kind, where, fetcher, budget)
        if isinstance(part, ImagePart):
            (png,) = (
                await self._decoded(PicturesRequest(pictures=pieces, limits=self._limits, as_frames=False), where)
            ).pictures
            return {"type": "image_url", "image_url": {"url": await self._uri("image/png", (png,))}}
        if subtype in FRAMES:
            if len(pieces) > self._settings.frames:
                raise bad(f"{where}: a video may have at most {self._settings.frames} frames, not {len(pieces)}.", where)
            seen = await self._decoded(PicturesRequest(pictures=pieces, limits=self._limits, as_frames=True), where)
            rates.add(part.video_url.fps or self._settings.video_fps)
        else:
            if part.video_url.fps is not None:
                raise bad(f"{where}: fps belongs to frames (data:video/jpeg); a file knows its own times.", where)
            seen = await self._film(pieces[0], where)
            rates.add(round(1.0 / seen.interval_s, 6))
        return {"type": "video_url", "video_url": {"url": await self._uri("video/jpeg", seen.pictures)}}

    async def _bytes(self, url: str, kind: str, where: str, fetcher: Fetcher | None,
                     budget: "_Budget") -> tuple[tuple[bytes, ...], str]:  # fmt: skip
        if url[:6].lower() == "https:":
            assert fetcher is not None
            data = await fetcher.fetch(url, budget.left)
            budget.take(len(data))
            return (data,), ""
        found = _DATA.match(url[:400])
        if found is None:
            what = "data:image/png;base64,..." if kind == "image" else "data:video/mp4;base64,..."
            raise bad(f"{where}: media must be a data: URI such as {what}, or an https:// address.", where)
        named, subtype = found[1].lower(), found[2].lower()
        if named != kind:
            raise bad(f"{where}: it is called {named}/{subtype}, but stands where {kind} belongs.", where)
        encoded = url[found.end() :]
        several = kind == "video" and subtype in FRAMES
        if several and encoded.count(",") >= self._settings.frames:
            raise bad(f"{where}: a video may have at most {self._settings.frames} frames.", where)
        words = encoded.split(",") if several else [encoded]
        loop = asyncio.get_running_loop()
        try:
            decoded = [await loop.run_in_executor(self._threads, _from_base64, w) for w in words]
        except (binascii.Error, ValueError) as error:
            raise bad(f"{where}: the data after the comma is not base64.", where) from error
        if not all(decoded):
            raise bad(f"{where}: it is empty.", where)
        budget.take(sum(map(len, decoded)))
        return tuple(decoded), subtype

    async def _film(self, data: bytes, where: str) -> Seen:
        with tempfile.NamedTemporaryFile(prefix="preceptor-upload-") as file:
            await asyncio.get_running_loop().run_in_executor(self._threads, _write, file, data)
            return await self._decoded(FilmRequest(uri=file.name, limits=self._limits), where)

    async def _decoded(self, request: PicturesRequest | FilmRequest, where: str) -> Seen:
        what = "video" if isinstance(request, FilmRequest) or request.as_frames else "picture"
        async with self._decoder() as decoder:
            work = asyncio.get_running_loop().run_in_executor(self._threads, _ask, decoder, request)
            try:
                return await asyncio.shield(work)
            except RowError as error:
                raise _refusal(error, what, where) from error
            except asyncio.CancelledError:
                decoder.interrupt()  # the thread must be done with the child before somebody else gets it
                with contextlib.suppress(RowError):
                    await work
                raise

    @contextlib.asynccontextmanager
    async def _decoder(self) -> AsyncIterator[Decoder]:
        decoder = await self._free.get()
        try:
            yield decoder
        finally:
            self._free.put_nowait(decoder)

    async def _uri(self, kind: str, pictures: tuple[bytes, ...]) -> str:
        return await asyncio.get_running_loop().run_in_executor(self._threads, _to_uri, kind, pictures)


class _Budget:
    """Media bytes that one request may still bring."""

    def __init__(self, left: int) -> None:
        self.left = left

    def take(self, count: int) -> None:
        if count > self.left:
            raise ApiError(413, "The media of this request are too large together.", param="messages")
        self.left -= count


def parts_of(message: Message) -> list[TextPart | ImagePart | VideoPart]:
    """The parts of a message's content; none where it is a plain text."""
    return [] if isinstance(message.content, str) else message.content


def p_url(part: TextPart | ImagePart | VideoPart) -> str:
    """The part's address; empty for text."""
    if isinstance(part, TextPart):
        return ""
    return part.image_url.url if isinstance(part, ImagePart) else part.video_url.url


def _refusal(error: RowError, what: str, where: str) -> ApiError:
    sentences = {
        Reason.DECODER_CRASHED: f"it crashed the decoder ({error.detail})",
        Reason.DEADLINE: "decoding it takes too long",
        Reason.OUT_OF_MEMORY: "decoding it takes too much memory",
        Reason.UNREADABLE: error.detail,
    }
    return bad(f"{where}: the {what} cannot be used: {sentences.get(error.reason, error.detail)}.", where)


def _ask(decoder: Decoder, request: PicturesRequest | FilmRequest) -> Seen:
    (seen,) = [m for m in decoder.ask(request) if isinstance(m, Seen)]
    assert math.isfinite(seen.interval_s)
    return seen


def _from_base64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _to_uri(kind: str, pictures: tuple[bytes, ...]) -> str:
    return f"data:{kind};base64," + ",".join(base64.b64encode(p).decode() for p in pictures)


def _write(file: Any, data: bytes) -> None:
    file.write(data)
    file.flush()
