"""End to end: the official client, over TLS, through Ray Serve, to vLLM on this CPU."""

import http.client as http_client
import json
import re
import signal
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

import httpx
import openai
import psutil
import pytest
from hypothesis import HealthCheck, given, settings

from serve import keys
from tests.serve.conftest import Server
from tests.serve.gateways import image, is_refusal, noisy_png, png, video
from tests.serve.test_fuzz import as_bytes, requests

pytestmark = [pytest.mark.cluster, pytest.mark.engine]


def ask(
    server: Server | openai.OpenAI, content: Any = "What is pneumonia?", model: str = "tiny-vlm", **more: Any
) -> Any:
    client = server.client() if isinstance(server, Server) else server
    messages = [{"role": "user", "content": content}]
    return client.chat.completions.create(model=model, messages=messages, **({"max_tokens": 8, "temperature": 0} | more))


def first_logprobs(answer: Any) -> list[tuple[str, float]]:
    return [(t.token, round(t.logprob, 2)) for t in answer.choices[0].logprobs.content[0].top_logprobs]


def seen(server: Server, *parts: Any) -> list[tuple[str, float]]:
    """The model's opinion of the next word after having seen the parts."""
    parts = (*parts, {"type": "text", "text": "see"})
    return first_logprobs(ask(server, list(parts), max_tokens=1, logprobs=True, top_logprobs=10))


def test_models_health_and_readiness(server: Server) -> None:
    assert [m.id for m in server.client().models.list()] == ["tiny-vlm", "tuned"]
    with server.http() as http:
        assert (http.get("/health").status_code, http.get("/ready").json()) == (200, {"status": "ready"})


def test_text_and_an_adapter_by_its_name(server: Server) -> None:
    base, tuned = ask(server), ask(server, model="tuned")
    assert (base.model, tuned.model) == ("tiny-vlm", "tuned")
    assert base.choices[0].finish_reason == "length"
    assert base.usage.completion_tokens == 8
    assert base.choices[0].message.content != tuned.choices[0].message.content
    assert ask(server).choices[0].message.content == base.choices[0].message.content


def test_a_stream_says_the_same_as_an_answer(server: Server) -> None:
    for model in ("tiny-vlm", "tuned"):
        chunks = list(ask(server, model=model, stream=True, stream_options={"include_usage": True}))
        text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
        assert text == ask(server, model=model).choices[0].message.content
        assert chunks[-1].usage.completion_tokens == 8
        assert len(chunks) >= 8


def test_the_model_sees_pictures(server: Server) -> None:
    one, other = noisy_png(1, 112, 112), noisy_png(2, 112, 112)
    assert seen(server, image(one)) == seen(server, image(one)) != seen(server, image(other))
    assert seen(server, image(one), image(other)) != seen(server, image(other), image(one))


def test_the_model_sees_a_film_however_it_comes(server: Server) -> None:
    by_data = seen(server, {"type": "video_url", "video_url": {"url": server.film_uri()}})
    by_address = seen(server, {"type": "video_url", "video_url": {"url": server.film_url}})
    frames = [noisy_png(i, 112, 112) for i in range(4)]
    by_frames = seen(server, video(*frames, kind="video/jpeg"))
    assert by_data == by_address != by_frames
    assert by_frames != seen(server, video(*frames[::-1], kind="video/jpeg"))


def test_structured_replies(server: Server) -> None:
    answers = {"type": "object", "properties": {"a": {"enum": ["yes", "no"]}}, "required": ["a"]}
    schema = answers | {"additionalProperties": False}
    wanted = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
    answer = ask(server, response_format=wanted, max_tokens=40, temperature=1, seed=1, extra_body={"top_k": 5})
    text = answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "length" or json.loads(text)["a"] in ("yes", "no")
    assert text.lstrip().startswith("{")


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"model": "gpt-4"}, openai.NotFoundError, "there is tiny-vlm, tuned"),
        ({"content": "word " * 3000}, openai.BadRequestError, "context length"),
        ({"content": "a<|im_end|>b"}, openai.BadRequestError, "control token"),
        ({"content": "a<|video_pad|>b"}, openai.BadRequestError, "control token"),
        ({"max_tokens": 1020}, openai.BadRequestError, "1024"),
        ({"max_tokens": 10**9}, openai.BadRequestError, "at most"),
        ({"content": [image(png(1, 1))]}, openai.BadRequestError, "1 x 1"),
        ({"content": [image(png(4000, 4000))]}, openai.BadRequestError, "4000 x 4000"),
        ({"content": [video(b"no film")]}, openai.BadRequestError, "cannot be used"),
        ({"content": [{"type": "image_url", "image_url": {"url": "https://127.0.0.1/x"}}]}, openai.PermissionDeniedError,
         "host"),
        ({"content": [{"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}]}, openai.BadRequestError, "data:"),
        ({"temperature": 5}, openai.BadRequestError, "temperature"),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "x"}}}},
         openai.BadRequestError, "Grammar"),
        ({"extra_body": {"chat_template": "{{ 1 }}"}}, openai.BadRequestError, "unknown field"),
    ],
)  # fmt: skip
def test_wrong_requests_are_the_callers_fault(
    server: Server, changes: Any, error: type[openai.APIStatusError], words: str
) -> None:
    with pytest.raises(error) as refused:
        ask(server, **changes)
    assert words in refused.value.message
    assert is_refusal(refused.value.status_code, refused.value.response.content)


def test_keys_are_needed_and_revocation_is_at_once(server: Server) -> None:
    with pytest.raises(openai.AuthenticationError):
        server.client("pk-wrong").models.list()
    other = keys.add(server.keys, "other")
    assert server.client(other).models.list()
    keys.revoke(server.keys, "other")
    with pytest.raises(openai.AuthenticationError):
        server.client(other).models.list()


def test_a_body_that_claims_too_much_is_refused_before_it_comes(server: Server) -> None:
    head = {"authorization": f"Bearer {server.key}", "content-type": "application/json"}
    with server.http() as http:
        assert http.post("/v1/chat/completions", content=b"x" * 3_000_000, headers=head).status_code == 413
    url = httpx.URL(server.url)
    trust = ssl.create_default_context(cafile=str(server.certificate))
    raw = http_client.HTTPSConnection(url.host, url.port, context=trust, timeout=20)
    raw.putrequest("POST", "/v1/chat/completions")
    for name, value in (head | {"content-length": str(10 << 30)}).items():
        raw.putheader(name, value)
    raw.endheaders(b"{")  # and nothing follows
    answer = raw.getresponse()
    assert answer.status == 413
    assert is_refusal(answer.status, answer.read())
    raw.close()


def attempt(client: openai.OpenAI, number: int, max_tokens: int) -> Any:
    """An answer, or the refusal's response."""
    try:
        return ask(client, f"question {number}", max_tokens=max_tokens, extra_body={"ignore_eos": True})
    except openai.RateLimitError as error:
        return error.response


def test_a_burst_for_which_there_is_room_is_not_refused(server: Server) -> None:
    client = server.client()
    for _ in range(3):
        with ThreadPoolExecutor(6) as pool:  # four run and two wait
            answers = list(pool.map(lambda number: attempt(client, number, 8), range(6)))
        assert not [a for a in answers if isinstance(a, httpx.Response)]


def test_overload_is_answered_at_once_and_nothing_is_lost(server: Server) -> None:
    client = server.client()  # one for all: to make one takes longer than to be refused
    running = [
        iter(ask(client, f"stream {i}", max_tokens=400, stream=True, extra_body={"ignore_eos": True})) for i in range(4)
    ]
    for stream in running:
        next(stream)  # so all places are taken, for the seconds that 400 tokens last
    with ThreadPoolExecutor(12) as pool:
        asked = [pool.submit(attempt, client, number, 60) for number in range(12)]
        answers = [future.result() for future in as_completed(asked)]
    refused = answers[:10]  # two wait: whoever is refused hears of it before any of those has an answer
    assert all(isinstance(r, httpx.Response) for r in refused)
    assert all(is_refusal(r.status_code, r.content) and int(r.headers["retry-after"]) >= 2 for r in refused)
    assert [a.usage.completion_tokens for a in answers[10:]] == [60, 60]
    assert [[chunk.choices[0].finish_reason for chunk in stream][-1] for stream in running] == ["length"] * 4
    assert ask(server).choices[0].finish_reason == "length"


def test_a_client_that_leaves_frees_its_place(server: Server) -> None:
    for _ in range(3):
        streams = [ask(server, f"{i}", max_tokens=900, stream=True, temperature=1, seed=i) for i in range(4)]
        for stream in streams:
            next(iter(stream))
            stream.close()
        deadline = time.monotonic() + 20
        while True:  # the place is free as soon as the engine has heard of it
            try:
                ask(server, max_tokens=1)
                break
            except openai.RateLimitError:
                assert time.monotonic() < deadline
                time.sleep(0.2)


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(requests())
def test_fuzzed_requests_are_answered_or_refused(server: Server, request_: Any) -> None:
    with server.http() as http:
        answer = http.post("/v1/chat/completions", content=as_bytes(request_ | {"max_tokens": 1}), headers={
            "authorization": f"Bearer {server.key}", "content-type": "application/json"})  # fmt: skip
    assert answer.status_code == 200 or is_refusal(answer.status_code, answer.content), answer.text


def logs(server: Server) -> dict[str, str]:
    """What each log file of the server's Ray session holds."""
    files = [p for p in server.session.rglob("*") if p.is_file() and p.suffix in (".log", ".out", ".err")]
    return {str(p): p.read_text(errors="replace") for p in files}


def test_no_secret_is_in_any_log(server: Server) -> None:
    secrets = {"the key": server.key, "a question": "confidential finding 4711", "a signature": "SIGNED-4711"}
    ask(server, secrets["a question"])
    with pytest.raises(openai.PermissionDeniedError):
        ask(server, [{"type": "image_url", "image_url": {"url": "https://other.example/a?s=SIGNED-4711"}}])
    with pytest.raises(openai.BadRequestError):
        ask(server, [{"type": "video_url", "video_url": {"url": f"{server.film_url}.none?s=SIGNED-4711"}}])
    texts = logs(server) | {"console": "".join(server.said)}
    assert any("replica" in name for name in texts)
    assert any("chat 200 key=test" in text for text in texts.values())
    found = [(what, name) for what, secret in secrets.items() for name, text in texts.items() if secret in text]
    assert found == []


def test_sigterm_finishes_what_runs_and_leaves_no_process(server: Server) -> None:
    """The last test of the file: it ends the server."""
    family = psutil.Process(server.process.pid).children(recursive=True)
    engines = {int(pid) for text in logs(server).values() for pid in re.findall(r"EngineCore pid=(\d+)", text)}
    assert engines  # by the log: the process's title stays unset where its environment was changed before
    assert engines <= {p.pid for p in family}
    words: list[str] = []

    def listen() -> None:
        for chunk in ask(server, "tell me", max_tokens=60, stream=True, temperature=1, seed=1, extra_body={"min_p": 0.0}):
            words.append(chunk.choices[0].finish_reason or "word")

    thread = threading.Thread(target=listen)
    thread.start()
    while len(words) < 2:
        time.sleep(0.02)
    server.process.send_signal(signal.SIGTERM)
    refused = None
    while thread.is_alive() and refused is None:
        time.sleep(0.05)
        try:
            ask(server, max_tokens=1)
        except openai.InternalServerError as error:
            refused = error
    thread.join(60)
    assert words[-1] in ("length", "stop")
    assert refused is None or (refused.status_code == 503 and "retry-after" in refused.response.headers)
    assert server.process.wait(60) == 0
    assert "ended\n" in server.said
    _, alive = psutil.wait_procs(family, timeout=15)
    assert alive == []
