"""Two engines that answer flat text tasks: vLLM in this process, or any OpenAI-compatible address.

Both are asked by many rows at once. A reply that ran into a limit or broke its form is a typed failure, never a text;
a broken engine is an `EnvironmentFault` for everybody who waits.
"""

import dataclasses
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

from actors.starter_models import gguf_hash
from actors.weights import hash_folder, resolve
from pipelines.config import TextSettings
from pipelines.errors import EnvironmentFault, UsageError

KEY_VARIABLE = "PRECEPTOR_TEXT_API_KEY"
CONCURRENT_REQUESTS = 32


@dataclass(frozen=True, slots=True)
class Key:
    """An API key on its way to an actor of a cluster, which does not inherit this machine's environment; never printed."""

    value: str = dataclasses.field(repr=False)

    @staticmethod
    def of_this_process() -> "Key":
        """What the environment holds; empty if nothing."""
        return Key(os.environ.get(KEY_VARIABLE, ""))

    def install(self) -> None:
        """Make it this process's, unless it has one."""
        if self.value:
            os.environ.setdefault(KEY_VARIABLE, self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One flat task: a text of at most `max_chars` in the JSON field `field`, or one of `choices`."""

    system: str
    user: str
    max_tokens: int
    field: str = "text"
    max_chars: int = 0
    choices: tuple[str, ...] = ()
    picture: str = dataclasses.field(default="", repr=False)
    """A data URI, shown before the words; for models that see, behind an address."""
    seed: int = 0

    def messages(self) -> Any:
        """The turns, in OpenAI's form."""
        user: Any = self.user
        if self.picture:
            user = [{"type": "image_url", "image_url": {"url": self.picture}}, {"type": "text", "text": self.user}]
        return [{"role": "system", "content": self.system}, {"role": "user", "content": user}]

    def schema(self) -> dict[str, Any]:
        """The JSON schema of the reply: one field, bounded (the length, or the closed set)."""
        kind = {"enum": list(self.choices)} if self.choices else {"maxLength": self.max_chars}
        return {
            "type": "object",
            "properties": {self.field: {"type": "string", **kind}},
            "required": [self.field],
            "additionalProperties": False,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A text, or why there is none: `length` (a limit was reached), `malformed`, or `refused` by the server."""

    text: str | None = None
    failure: str | None = None


READY = Request(system="You answer with one word.", user="Say ready.", max_tokens=16, field="word", choices=("ready",))
"""What any working engine answers."""


class TextEngine(Protocol):
    """What the rewriter needs of an engine."""

    @property
    def name(self) -> str:
        """Model and identity of its weights."""
        ...

    @property
    def dead(self) -> bool:
        """Whether the engine failed for good, so that its process must be replaced."""
        ...

    def generate(self, requests: Sequence[Request]) -> list[Reply]:
        """One reply per request, in order; callable from many threads at once."""
        ...


def read_reply(request: Request, content: str | None, finish_reason: str | None) -> Reply:
    """The checked text of a reply. A text that fills `max_chars` was cut there by the schema: failure `length`."""
    if finish_reason == "length":
        return Reply(failure="length")
    try:
        body = json.loads(content or "")
    except json.JSONDecodeError:
        return Reply(failure="malformed")
    text = body.get(request.field) if isinstance(body, dict) and len(body) == 1 else None
    if not isinstance(text, str):
        return Reply(failure="malformed")
    if request.choices:
        return Reply(text=text) if text in request.choices else Reply(failure="malformed")
    return Reply(text=text.strip()) if len(text) < request.max_chars else Reply(failure="length")


def weights_hash(settings: TextSettings) -> str:
    """Identity of the weights, without loading them; a remote model is known by its name only."""
    if settings.engine == "openai":
        return f"name:{settings.model}"
    return gguf_hash() if settings.model == "starter" else hash_folder(resolve(settings.model))


def engine_name(settings: TextSettings) -> str:
    """How texts name the model that made them."""
    name = "smollm2-135m-instruct" if settings.model == "starter" else settings.model
    return name if settings.engine == "openai" else f"{name}@{weights_hash(settings)[:12]}"


class OpenAiEngine:
    """Any OpenAI-compatible address. The key comes from `PRECEPTOR_TEXT_API_KEY` and is never logged."""

    dead = False

    def __init__(self, settings: TextSettings, *, max_retries: int = 6, timeout_s: float = 300.0) -> None:
        import openai

        self._model = settings.model
        self.name = engine_name(settings)
        # The client itself retries 408, 409, 429, 5xx and broken connections, with back-off and Retry-After.
        self._client = openai.OpenAI(
            base_url=settings.base_url,
            api_key=os.environ.get(KEY_VARIABLE) or "none",
            max_retries=max_retries,
            timeout=timeout_s,
        )
        self._answered = False
        self._pool = ThreadPoolExecutor(CONCURRENT_REQUESTS, thread_name_prefix="text-request")

    def generate(self, requests: Sequence[Request]) -> list[Reply]:
        """One reply per request, in order; temperature 0. Callable from many threads at once.

        Raises:
            UsageError: the server refuses the key or does not know the model.
            EnvironmentFault: the server cannot be reached or keeps failing.
        """
        return list(self._pool.map(self._ask, requests))

    def _ask(self, request: Request) -> Reply:
        import openai

        try:
            completion = self._client.chat.completions.create(
                model=self._model,
                messages=request.messages(),
                temperature=0.0,
                seed=request.seed,
                max_tokens=request.max_tokens,
                response_format={
                    "type": "json_schema",
                    "json_schema": {"name": request.field, "schema": request.schema(), "strict": True},
                },
            )
        except openai.BadRequestError as error:
            if error.code == "context_length_exceeded" or "context length" in str(error).lower():
                return Reply(failure="length")
            if self._answered or error.code == "content_filter":  # it dislikes this text, not every text
                return Reply(failure="refused")
            if request is not READY and self._ask(READY).failure is None:
                return Reply(failure="refused")
            raise EnvironmentFault(f"The text server refuses the request: {error.message}") from error
        except (openai.AuthenticationError, openai.PermissionDeniedError, openai.NotFoundError) as error:
            advice = f"check text.base_url, text.model and {KEY_VARIABLE}"
            raise UsageError(f"The text server answers {error.status_code}: {advice}.") from error
        except openai.APIError as error:
            raise EnvironmentFault(f"The text server fails: {error.message}") from error
        self._answered = True
        if not completion.choices:
            return Reply(failure="malformed")
        choice = completion.choices[0]
        return read_reply(request, choice.message.content, choice.finish_reason)


def make_engine(settings: TextSettings, *, threads: int, gpu_memory_share: float) -> TextEngine:
    """The engine that the settings name."""
    if settings.engine == "openai":
        return OpenAiEngine(settings)
    from actors.vllm_engine import VllmEngine

    return VllmEngine(settings, threads=threads, gpu_memory_share=gpu_memory_share)
