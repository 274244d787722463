"""What a gateway makes of a Serve handle's answer; the handle is a stand-in, and no cluster runs."""

import asyncio
from typing import Any

import pytest
from ray.exceptions import RayError, WorkerCrashedError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError, RayServeException

from serve.app import HandleBackend
from serve.errors import ApiError

FULL = ApiError(429, "The server is working at its limit.", code="overloaded", retry_after_s=2)


class Handle:
    """Answers with these items; an exception among them is raised, and after None nothing comes any more."""

    def __init__(self, *items: Any) -> None:
        self._items = iter(items)
        self.how: dict[str, Any] = {}
        self.bodies: list[Any] = []
        self.cancelled = 0

    def options(self, **how: Any) -> "Handle":
        self.how = how
        return self

    def remote(self, body: dict[str, Any]) -> "Handle":
        self.bodies.append(body)
        return self

    def __aiter__(self) -> "Handle":
        return self

    async def __anext__(self) -> Any:
        for item in self._items:
            if item is None:
                await asyncio.Event().wait()
            if isinstance(item, Exception):
                raise item
            return item
        raise StopAsyncIteration

    def cancel(self) -> None:
        self.cancelled += 1


def backend(handle: Handle) -> HandleBackend:
    return HandleBackend(handle, lambda: FULL)  # type: ignore[arg-type]


def refusal(handle: Handle) -> tuple[list[str], ApiError]:
    """The lines before the error, and the error."""
    lines: list[str] = []

    async def go() -> None:
        async for line in backend(handle).chat({}):
            lines.append(line)

    with pytest.raises(ApiError) as refused:
        asyncio.run(go())
    return lines, refused.value


def test_an_answer_read_to_its_end_is_not_cancelled() -> None:
    handle = Handle("a", "b")

    async def go() -> list[str]:
        return [line async for line in backend(handle).chat({"model": "tiny"})]

    assert asyncio.run(go()) == ["a", "b"]
    assert (handle.how, handle.bodies) == ({"method_name": "chat", "stream": True}, [{"model": "tiny"}])
    assert handle.cancelled == 0


def test_an_answer_that_is_closed_after_one_line_is_cancelled() -> None:
    handle = Handle("a", "b")

    async def go() -> None:
        lines = backend(handle).chat({})
        assert await anext(lines) == "a"
        assert handle.cancelled == 0
        await lines.aclose()

    asyncio.run(go())
    assert handle.cancelled == 1


@pytest.mark.parametrize("items", [(None,), ("a", None)])
def test_an_answer_that_is_waited_for_no_longer_is_cancelled(items: tuple[Any, ...]) -> None:
    handle = Handle(*items)

    async def go() -> None:
        async with asyncio.timeout(0.1):
            async for _ in backend(handle).chat({}):
                pass

    with pytest.raises(TimeoutError):
        asyncio.run(go())
    assert handle.cancelled == 1


def test_a_replicas_refusal_keeps_its_status_sentence_and_parameter() -> None:
    handle = Handle((400, "The prompt is too long.", "messages"))
    lines, error = refusal(handle)
    assert (lines, error.status, error.message, error.param) == ([], 400, "The prompt is too long.", "messages")
    assert handle.cancelled == 0


def test_where_no_replica_has_room_the_gateways_own_refusal_is_given() -> None:
    handle = Handle(BackPressureError(3, 2))
    assert refusal(handle) == ([], FULL)
    assert handle.cancelled == 0


@pytest.mark.parametrize("fault", [RayError("secret"), WorkerCrashedError(), DeploymentUnavailableError("secret"),
                                   RayServeException("secret")])  # fmt: skip
@pytest.mark.parametrize("before", [[], ["a"]])
def test_a_model_that_is_gone_is_unavailable_for_a_while(fault: Exception, before: list[str]) -> None:
    handle = Handle(*before, fault)
    lines, error = refusal(handle)
    assert (lines, error.status, error.retry_after_s) == (before, 503, 10)
    assert "secret" not in error.message
    assert handle.cancelled == 0
