"""The HTTP side, without Ray: who may ask, how much, and what; then the engine's answer, whole or streamed.

Requests are refused in the order of what refusing costs: draining, key, rate, room, size, form, model, media.
"""

import asyncio
import contextlib
import functools
import ipaddress
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, Protocol

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from pipelines.errors import EnvironmentFault
from serve.config import ServeConfig
from serve.errors import ApiError, bad
from serve.keys import KeyRing
from serve.media import MediaReader
from serve.rates import Rates
from serve.requests import for_engine, known_model, read_request

log = logging.getLogger("ray.serve.preceptor")
ANYBODY = "anybody"
"""Who asks where no keys are needed."""


class Backend(Protocol):
    """What answers checked requests."""

    def chat(self, body: dict[str, Any]) -> AsyncGenerator[str, None]:
        """One JSON text or the lines of a stream; raises ApiError before the first."""
        ...

    async def ready(self) -> bool:
        """Whether a request would be answered now."""
        ...


class Gateway:
    """The state of one gateway replica, and its routes."""

    def __init__(self, config: ServeConfig, models: tuple[str, ...], backend: Backend) -> None:
        self._config, self._models, self._backend = config, models, backend
        self._keys = None if config.http.keyless else KeyRing(config.http.keys_path)
        share = 1 / config.scaling.gateways
        self._rates = Rates(config.limits.requests_per_minute * share, config.limits.burst * share)
        self._media = MediaReader(config.media)
        self._started = int(time.time())
        self.running = 0
        self.draining = False

    def app(self) -> Starlette:
        """The ASGI application."""
        return Starlette(
            routes=[
                Route("/health", self._health, methods=["GET"]),
                Route("/ready", self._ready, methods=["GET"]),
                Route("/v1/models", self._list_models, methods=["GET"]),
                Route("/v1/models/{name:path}", self._one_model, methods=["GET"]),
                Route("/v1/chat/completions", self._chat, methods=["POST"]),
            ],
            exception_handlers={ApiError: _refused, HTTPException: _http_fault, Exception: _own_fault,
                                ClientDisconnect: _gone},
        )  # fmt: skip

    def close(self) -> None:
        """End the decoding children."""
        self._media.close()

    async def _health(self, request: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def _ready(self, request: Request) -> Response:
        ready = not self.draining and await self._backend.ready()
        state = "ready" if ready else "draining" if self.draining else "loading"
        return JSONResponse({"status": state}, 200 if ready else 503)

    async def _list_models(self, request: Request) -> Response:
        self._owner(request)
        return JSONResponse({"object": "list", "data": [self._card(name) for name in self._models]})

    async def _one_model(self, request: Request) -> Response:
        self._owner(request)
        name = request.path_params["name"]
        if name not in self._models:
            raise ApiError(404, f"There is no model '{name[:100]}' here.", code="model_not_found", param="model")
        return JSONResponse(self._card(name))

    def _card(self, name: str) -> dict[str, Any]:
        base = None if name == self._models[0] else self._models[0]
        return {"id": name, "object": "model", "created": self._started, "owned_by": "preceptor", "parent": base}

    async def _chat(self, request: Request) -> Response:
        began, owner, status = time.monotonic(), "-", 500
        answer: Response | None = None
        try:
            if self.draining:
                raise ApiError(503, "The server is shutting down.", retry_after_s=self._config.scaling.retry_after_s)
            owner = self._owner(request)
            self._admit(owner)
            self.running += 1
            try:
                async with asyncio.timeout(self._config.limits.request_timeout_s) as deadline:
                    answer = await self._answer(request, deadline)
            finally:
                if not isinstance(answer, StreamingResponse):  # a stream is over when its last line is sent
                    self.running -= 1
            status = answer.status_code
            return answer
        except TimeoutError as error:
            status = 408
            raise self._too_late() from error
        except ApiError as error:
            status = error.status
            raise
        finally:
            log.info("chat %s key=%s %.3f s", status, owner, time.monotonic() - began)

    def _owner(self, request: Request) -> str:
        if self._keys is None:
            if not _is_loopback(request.headers.get("host", "")):  # a web page that renamed itself to 127.0.0.1
                raise ApiError(403, "A server without keys answers only to its loopback name.", code="host")
            return ANYBODY
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise ApiError(401, "An API key is needed: Authorization: Bearer KEY.", code="invalid_api_key")
        try:
            owner = self._keys.owner(key.strip())
        except EnvironmentFault as error:
            log.error("%s", error)
            raise ApiError(503, "The server cannot check API keys at the moment.", retry_after_s=30) from error
        if owner is None:
            raise ApiError(401, "The API key is not valid.", code="invalid_api_key")
        return owner

    def _admit(self, owner: str) -> None:
        wait_s = self._rates.wait_s(owner)
        if wait_s:
            most = self._config.limits.requests_per_minute
            raise ApiError(
                429, f"A key may send {most:g} requests a minute.", code="rate_limit_exceeded", retry_after_s=wait_s
            )
        if self.running >= self._config.admitted:
            raise self.overloaded()

    def overloaded(self) -> ApiError:
        """What a caller is told when there is no room."""
        return ApiError(429, "The server is working at its limit; try again soon.", code="overloaded",
                        retry_after_s=self._config.scaling.retry_after_s)  # fmt: skip

    def _too_late(self) -> ApiError:
        return ApiError(408, f"No answer within {self._config.limits.request_timeout_s:g} s.", code="timeout")

    async def _answer(self, request: Request, deadline: asyncio.Timeout) -> Response:
        limits = self._config.limits
        wanted = read_request(await self._body(request), limits)
        known_model(wanted, self._models)
        messages, fps = await self._media.plain(wanted, limits.request_bytes)
        lines = self._backend.chat(for_engine(wanted, messages, fps))
        first = await anext(lines)
        if not wanted.stream:
            with contextlib.suppress(StopAsyncIteration):
                await anext(lines)  # lets the backend finish its accounts
            return Response(first, media_type="application/json")
        return _Stream(self._events(first, lines, deadline.when()), functools.partial(self._ended, lines))

    async def _events(self, first: str, lines: AsyncGenerator[str, None], until: float | None) -> AsyncGenerator[str, None]:
        try:
            async with asyncio.timeout_at(until):
                yield first
                async for line in lines:
                    yield line
        except TimeoutError:
            yield self._too_late().event()
        except ApiError as error:
            yield error.event()

    async def _ended(self, lines: AsyncGenerator[str, None]) -> None:
        self.running -= 1
        await lines.aclose()

    async def _body(self, request: Request) -> bytes:
        limits = self._config.limits
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise ApiError(415, "The body must be sent as Content-Type: application/json.")
        large = ApiError(413, f"A request may have at most {limits.request_bytes} bytes.")
        claimed = request.headers.get("content-length", "0")
        if not claimed.isascii() or not claimed.isdigit():
            raise bad("The Content-Length is no number.")
        if len(claimed) > 18 or int(claimed) > limits.request_bytes:
            raise large
        body = bytearray()
        try:
            async with asyncio.timeout(limits.body_timeout_s):
                async for piece in request.stream():
                    body += piece
                    if len(body) > limits.request_bytes:
                        raise large
        except TimeoutError as error:
            raise ApiError(408, f"The body did not arrive within {limits.body_timeout_s:g} s.") from error
        return bytes(body)


class _Stream(StreamingResponse):
    """Events; `ended` is called once, however they end: also when a client goes that reads slowly, or never began to."""

    def __init__(self, events: AsyncGenerator[str, None], ended: Callable[[], Awaitable[None]]) -> None:
        super().__init__(events, media_type="text/event-stream",
                         headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})  # fmt: skip
        self._events, self._ended = events, ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._events.aclose()
            await self._ended()


def _is_loopback(host: str) -> bool:
    name = host.rpartition(":")[0] if host.count(":") == 1 else host
    name = name.partition("]")[0].removeprefix("[") if name.startswith("[") else name
    if name.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return error.response()


async def _http_fault(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    sentence = {404: "There is no such address; see /v1/models and /v1/chat/completions.",
                405: f"{request.method} is not allowed here."}.get(error.status_code, str(error.detail))  # fmt: skip
    answer = ApiError(error.status_code, sentence).response()
    answer.headers.update(error.headers or {})
    return answer


async def _own_fault(request: Request, error: Exception) -> Response:
    return ApiError(500, "The server made a mistake; it is in its log.", code=type(error).__name__).response()


async def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=400)  # nobody reads it
