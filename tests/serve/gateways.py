"""A gateway without Ray and engine: the ASGI application over a model that echoes."""

import asyncio
import base64
import io
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image

from serve.config import HttpSettings, LimitSettings, MediaSettings, ScalingSettings, ServeConfig
from serve.errors import ApiError
from serve.gateway import Gateway
from tests.media import write_video

JSON = {"content-type": "application/json", "host": "localhost"}


class Echo:
    """Answers with what it was given; `hold` keeps every request until it is set."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.hold: asyncio.Event | None = None
        self.refuse: ApiError | None = None
        self.break_after: int | None = None
        self.closed = 0
        self.up = True

    async def chat(self, body: dict[str, Any]) -> AsyncGenerator[str, None]:
        self.bodies.append(body)
        try:
            if self.refuse:
                raise self.refuse
            if self.hold:
                await self.hold.wait()
            if not body.get("stream"):
                yield json.dumps({"object": "chat.completion", "model": body["model"]})
                return
            for i in range(5):
                if i == self.break_after:
                    raise ApiError(503, "The model failed.")
                yield f"data: {i}\n\n"
            yield "data: [DONE]\n\n"
        finally:
            self.closed += 1

    async def ready(self) -> bool:
        return self.up


def gateway(backend: Echo, *, keys: Path | None = None, limits: dict[str, Any] | None = None,
            media: dict[str, Any] | None = None, scaling: dict[str, Any] | None = None) -> Gateway:  # fmt: skip
    config = ServeConfig(
        http=HttpSettings(keyless=keys is None, keys_file=str(keys or "")),
        limits=LimitSettings(**({"requests_per_minute": 1e6, "burst": 100_000} | (limits or {}))),
        media=MediaSettings(**({"decoders": 1, "decode_timeout_s": 20.0} | (media or {}))),
        scaling=ScalingSettings(**(scaling or {})),
    )
    return Gateway(config, ("tiny", "lora"), backend)


def question(content: Any = "hello", **changes: Any) -> dict[str, Any]:
    return {"model": "tiny", "messages": [{"role": "user", "content": content}], "max_tokens": 8} | changes


def png(width: int = 56, height: int = 56, color: str = "red") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), color).save(out, "PNG")
    return out.getvalue()


def noisy_png(seed: int, width: int = 84, height: int = 84) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)).save(out, "PNG")
    return out.getvalue()


def uri(kind: str, *data: bytes) -> str:
    return f"data:{kind};base64," + ",".join(base64.b64encode(d).decode() for d in data)


def image(data: bytes, kind: str = "image/png") -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": uri(kind, data)}}


def video(*data: bytes, kind: str = "video/mp4", **more: Any) -> dict[str, Any]:
    return {"type": "video_url", "video_url": {"url": uri(kind, *data), **more}}


def mp4(folder: Path, **how: Any) -> bytes:
    return write_video(folder / "v.mp4", **({"seconds": 3, "audio": False} | how)).read_bytes()


def is_refusal(status: int, body: bytes) -> bool:
    """A 4xx in OpenAI's form with one sentence."""
    error = json.loads(body)["error"]
    return (
        400 <= status < 500
        and set(error) == {"message", "type", "param", "code"}
        and bool(error["message"].strip())
        and error["message"].isprintable()
        and "Traceback" not in error["message"]
    )


async def post(made: Gateway, *bodies: dict[str, Any]) -> list[asyncio.Task[httpx.Response]]:
    transport = httpx.ASGITransport(made.app(), raise_app_exceptions=False)
    client = httpx.AsyncClient(transport=transport, base_url="http://localhost")
    return [asyncio.create_task(client.post("/v1/chat/completions", json=b)) for b in bodies]


def scope() -> dict[str, Any]:
    return {"type": "http", "method": "POST", "path": "/v1/chat/completions", "raw_path": b"", "query_string": b"",
            "headers": [(k.encode(), v.encode()) for k, v in JSON.items()], "http_version": "1.1",
            "scheme": "http", "server": ("localhost", 80), "client": ("127.0.0.1", 1), "root_path": ""}  # fmt: skip
