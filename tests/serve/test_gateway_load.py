"""A gateway under load and over time: what is refused, what is ended, and that nothing stays behind."""

import asyncio
import json
from typing import Any

import pytest

from tests.serve.gateways import Echo, gateway, post, question, scope


@pytest.fixture
def echo() -> Echo:
    return Echo()


def test_more_than_can_run_and_wait_is_answered_at_once(echo: Echo) -> None:
    async def go() -> None:
        echo.hold = asyncio.Event()
        made = gateway(echo, scaling={"running": 2, "queued": 1, "target": 1})
        tasks = await post(made, *[question()] * 10)
        done, waiting = await asyncio.wait(tasks, timeout=2)
        assert (len(done), len(waiting), made.running) == (7, 3, 3)
        for task in done:
            assert task.result().status_code == 429
            assert int(task.result().headers["retry-after"]) >= 2
        echo.hold.set()
        assert {t.result().status_code for t in (await asyncio.wait(waiting))[0]} == {200}
        assert made.running == 0
        made.close()

    asyncio.run(go())


def test_draining_refuses_what_is_new_and_finishes_what_runs(echo: Echo) -> None:
    async def go() -> None:
        echo.hold = asyncio.Event()
        made = gateway(echo)
        (running,) = await post(made, question())
        await asyncio.sleep(0.1)
        made.draining = True
        (refused,) = await post(made, question())
        assert (await asyncio.wait_for(refused, 5)).status_code == 503
        assert "retry-after" in (await refused).headers
        echo.hold.set()
        assert (await running).status_code == 200
        assert made.running == 0
        made.close()

    asyncio.run(go())


def test_an_answer_that_takes_too_long_is_ended(echo: Echo) -> None:
    async def go() -> None:
        echo.hold = asyncio.Event()
        made = gateway(echo, limits={"request_timeout_s": 0.2})
        (task,) = await post(made, question())
        assert (await task).status_code == 408
        assert (made.running, echo.closed) == (0, 1)
        made.close()

    asyncio.run(go())


class Stuck(Echo):
    """Gives one line of a stream and no more. It is no generator: those end by themselves when they are interrupted."""

    given = 0

    def chat(self, body: dict[str, Any]) -> Any:
        return self

    def __aiter__(self) -> "Stuck":
        return self

    async def __anext__(self) -> str:
        self.given += 1
        if self.given > 1:
            await asyncio.Event().wait()
        return "data: 0\n\n"

    async def aclose(self) -> None:
        self.closed += 1


def test_a_stream_that_takes_too_long_is_told_so_and_ended() -> None:
    async def go() -> None:
        stuck = Stuck()
        made = gateway(stuck, limits={"request_timeout_s": 1.0})
        (task,) = await post(made, question(stream=True))
        answer = await asyncio.wait_for(task, 10)
        first, last = (line for line in answer.text.split("\n\n") if line)
        assert (answer.status_code, first) == (200, "data: 0")
        assert json.loads(last.removeprefix("data: "))["error"]["code"] == "timeout"
        assert (made.running, stuck.closed) == (0, 1)
        made.close()

    asyncio.run(go())


@pytest.mark.parametrize("reads_slowly", [False, True])
def test_who_leaves_a_stream_ends_the_answer(reads_slowly: bool) -> None:
    async def go() -> None:
        stuck, left = Stuck(), asyncio.Event()
        made = gateway(stuck)
        body = [{"type": "http.request", "body": json.dumps(question(stream=True)).encode()}]

        async def receive() -> Any:
            if body:
                return body.pop()
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message.get("body"):
                left.set()
                if reads_slowly:  # the line is still on its way
                    await asyncio.Event().wait()

        await asyncio.wait_for(made.app()(scope(), receive, send), 10)
        assert (made.running, stuck.closed) == (0, 1)
        made.close()

    asyncio.run(go())
