"""One OpenAI-compatible address, asked by many coroutines at once.

The official client retries 408, 409, 429, 5xx and broken connections, with back-off and as Retry-After asks. What is left
after that is sorted here: the question's own fault, a wrong request, or a broken environment.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import httpx2
import msgspec
import openai

from pipelines.errors import EnvironmentFault, UsageError
from serve.evaluation.answer import Fault, Reason

KEY_VARIABLE = "PRECEPTOR_API_KEY"
JUDGE_KEY_VARIABLE = "PRECEPTOR_JUDGE_API_KEY"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the server said, and what it took."""

    text: str
    finish_reason: str | None
    latency_s: float
    retries: int
    prompt_tokens: int | None
    completion_tokens: int | None


class Client:
    """Asks one model; an asynchronous context manager. The key is read from `key_variable` and never shown."""

    def __init__(self, url: str, model: str, *, key_variable: str, timeout_s: float, max_retries: int) -> None:
        if not url.startswith(("http://", "https://")):
            raise UsageError(f"The address must begin with http:// or https://, not '{url}'.")
        self.model, self._variable = model, key_variable
        self._option = "--judge-url" if key_variable == JUDGE_KEY_VARIABLE else "--url"
        self._client = openai.AsyncOpenAI(
            base_url=url,
            api_key=os.environ.get(key_variable) or "none",
            timeout=timeout_s,
            max_retries=max_retries,
        )

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()

    async def ask(self, messages: Sequence[dict[str, Any]], **options: Any) -> Reply:
        """The reply to `messages`.

        Raises:
            Fault: this question cannot be answered.
            UsageError: the server refuses the key or does not know the model.
            EnvironmentFault: nobody listens at the address.
        """
        try:
            raw = await self._client.chat.completions.with_raw_response.create(
                model=self.model,
                messages=list(messages),  # type: ignore[arg-type]
                **options,
            )
        except openai.APITimeoutError as error:
            raise Fault(Reason.TIMEOUT, "no reply in time") from error
        except openai.APIConnectionError as error:
            if not isinstance(error.__cause__, httpx2.ConnectError):  # it was there: this question may be what breaks it
                raise Fault(Reason.SERVER_ERROR, f"the connection broke: {_line(error.__cause__ or error)}") from error
            raise EnvironmentFault(
                f"The server at {self._client.base_url.host} cannot be reached: {error.message}"
            ) from error
        except openai.APIStatusError as error:
            raise self._sorted(error) from error
        return _reply(raw)

    def _sorted(self, error: openai.APIStatusError) -> Exception:
        status, said = error.status_code, f"{error.status_code}: {_line(error)}"
        if status in (401, 403):
            return UsageError(f"The server answers {status}: check {self._option} and {self._variable}.")
        if status == 404:
            return UsageError(f"The server answers 404: it has no '{self.model}', or {self._option} lacks its /v1.")
        if status == 429:
            return Fault(Reason.RATE_LIMITED, said)
        if status == 408:
            return Fault(Reason.TIMEOUT, said)
        if status >= 500:
            return Fault(Reason.SERVER_ERROR, said)
        filtered = error.code == "content_filter"
        return Fault(Reason.CONTENT_FILTER if filtered else Reason.REFUSED, said)


def _line(error: BaseException) -> str:
    """The first line of what an error says."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


class _Message(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Completion(msgspec.Struct):
    """What is read of a reply, checked: the official client takes whatever comes."""

    choices: list[_Choice]
    usage: _Usage | None = None


def _reply(raw: Any) -> Reply:
    try:
        completion = msgspec.json.decode(raw.content, type=_Completion)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Fault(Reason.MALFORMED, f"the server's reply is not of the protocol: {_line(error)}") from error
    if not completion.choices:
        raise Fault(Reason.MALFORMED, "the server's reply holds no choice")
    choice = completion.choices[0]
    if choice.finish_reason == "content_filter":
        raise Fault(Reason.CONTENT_FILTER, "the server withheld its reply")
    usage = completion.usage or _Usage()
    return Reply(
        text=choice.message.content or "",
        finish_reason=choice.finish_reason,
        latency_s=raw.elapsed.total_seconds(),
        retries=raw.retries_taken,
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
    )
