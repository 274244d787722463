import asyncio
import time

import pytest

from pipelines.errors import EnvironmentFault, UsageError
from serve.evaluation.answer import Fault, Reason
from serve.evaluation.client import KEY_VARIABLE, Client, Reply
from tests.serve.evaluation.chat import Trouble, error, serving

QUESTION = [{"role": "user", "content": "?"}]


def ask(server, **limits):
    async def once() -> Reply:
        wanted = {"timeout_s": 5.0, "max_retries": 3} | limits
        async with Client(server.url, "m", key_variable=KEY_VARIABLE, **wanted) as client:
            return await client.ask(QUESTION, temperature=0.0, max_tokens=5)

    return asyncio.run(once())


def in_turn(*answers):
    left = list(answers)
    return lambda request: left.pop(0) if len(left) > 1 else left[0]


def test_a_reply_with_its_numbers_and_the_key(monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, "secret-key")
    with serving(lambda r: "B") as server:
        reply = ask(server)
    assert (reply.text, reply.finish_reason, reply.retries) == ("B", "stop", 0)
    assert (reply.prompt_tokens, reply.completion_tokens) == (7, 3)
    assert 0 < reply.latency_s < 2
    assert server.keys == ["Bearer secret-key"]
    assert server.seen[0]["model"] == "m"


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_passing_faults_are_retried_and_counted(status):
    with serving(in_turn(error(status), error(status), "B")) as server:
        assert ask(server).retries == 2
    assert len(server.seen) == 3


def test_a_broken_connection_is_retried():
    with serving(in_turn(Trouble(hang_up=True), "B")) as server:
        assert ask(server).text == "B"


def test_retry_after_is_honoured_and_no_part_of_the_latency():
    busy = Trouble(429, error(429).body, {"retry-after": "2.0"})
    with serving(in_turn(busy, "B")) as server:
        reply = ask(server)
    assert reply.latency_s < server.times[1] - server.times[0] - 1.0


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        (error(429), Reason.RATE_LIMITED),
        (error(500), Reason.SERVER_ERROR),
        (error(408), Reason.TIMEOUT),
        (error(400), Reason.REFUSED),
        (error(422), Reason.REFUSED),
        (error(413), Reason.REFUSED),
        (error(400, "content_filter"), Reason.CONTENT_FILTER),
        (Trouble(hang_up=True), Reason.SERVER_ERROR),
        (Trouble(stall_s=0.4), Reason.TIMEOUT),
        (Trouble(body=b'{"choices": [{"mess'), Reason.MALFORMED),
        (Trouble(body=b"<html>hello</html>"), Reason.MALFORMED),
        (Trouble(body=b"<html>hello</html>", headers={"Content-Type": "text/html"}), Reason.MALFORMED),
        (Trouble(body=b"[]"), Reason.MALFORMED),
        (Trouble(body=b'"words"'), Reason.MALFORMED),
        (Trouble(body=b"null"), Reason.MALFORMED),
        (Trouble(body=b'{"choices": []}'), Reason.MALFORMED),
        (Trouble(body=b'{"choices": null}'), Reason.MALFORMED),
        (Trouble(body=b'{"choices": [{}]}'), Reason.MALFORMED),
        (Trouble(body=b'{"choices": ["a"]}'), Reason.MALFORMED),
        (Trouble(body=b'{"choices": [{"message": "hello"}]}'), Reason.MALFORMED),
        (Trouble(body=b'{"choices": [{"message": {"content": [1]}}]}'), Reason.MALFORMED),
        (Trouble(body=b'{"choices": [{"message": {"content": "B"}}], "usage": 3}'), Reason.MALFORMED),
        (Trouble(content="some", finish="content_filter"), Reason.CONTENT_FILTER),
    ],
)
def test_what_is_left_after_the_retries_is_a_fault_with_its_reason(trouble, reason):
    with serving(lambda r: trouble) as server, pytest.raises(Fault) as caught:
        ask(server, max_retries=1, timeout_s=0.3)
    assert caught.value.reason is reason
    assert len(server.seen) <= 2


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_wrong_key_or_model_stops_the_run_and_names_no_key(status, monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, "secret-key")
    with serving(lambda r: error(status)) as server, pytest.raises(UsageError) as caught:
        ask(server)
    assert "secret-key" not in str(caught.value)
    assert len(server.seen) == 1


def test_nobody_listens():
    with serving(lambda r: "B") as server:
        pass
    began = time.monotonic()
    with pytest.raises(EnvironmentFault, match="cannot be reached"):
        ask(server, max_retries=1)
    assert time.monotonic() - began < 5


def test_an_address_is_an_address():
    with pytest.raises(UsageError, match="http"):
        Client("localhost:8000", "m", key_variable=KEY_VARIABLE, timeout_s=1, max_retries=0)


def test_nothing_said_is_an_empty_text():
    with serving(lambda r: Trouble(content=None)) as server:
        assert ask(server).text == ""
