import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from actors.text_engine import KEY_VARIABLE, Key, OpenAiEngine, Reply, Request, read_reply, weights_hash
from pipelines.config import TextSettings
from pipelines.errors import EnvironmentFault, UsageError

TEXT = Request(system="s", user="u", max_tokens=10, field="caption", max_chars=20)
CHOICE = Request(system="s", user="u", max_tokens=10, field="choice", choices=("a", "b"))


def body(content, finish="stop"):
    message = {"role": "assistant", "content": content}
    return 200, {
        "id": "1", "object": "chat.completion", "created": 0, "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
    }  # fmt: skip


GOOD = body('{"caption": "A lung."}')


class Server(ThreadingHTTPServer):
    """Speaks OpenAI's protocol: `answers` are given in order, the last one for ever."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.seen, self.keys = [GOOD], [], []
        self.lock = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.seen.append(request)
            self.server.keys.append(self.headers["Authorization"])
            answers = self.server.answers
            status, payload = answers.pop(0) if len(answers) > 1 else answers[0]
        if callable(payload):
            payload = payload(request)
        data = json.dumps(payload).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("retry-after-ms", "1")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def engine(server, monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, "secret-key")
    address = f"http://127.0.0.1:{server.server_address[1]}/v1"
    return OpenAiEngine(TextSettings(engine="openai", model="m", base_url=address), max_retries=3)


def test_a_text_and_what_was_asked(server, engine):
    assert engine.generate([TEXT]) == [Reply(text="A lung.")]
    (seen,) = server.seen
    assert seen["temperature"] == 0
    assert seen["max_tokens"] == 10
    assert seen["response_format"]["json_schema"]["schema"]["properties"] == {
        "caption": {"type": "string", "maxLength": 20}
    }
    assert server.keys == ["Bearer secret-key"]


def test_a_closed_set_is_asked_as_an_enum(server, engine):
    server.answers = [body('{"choice": "b"}')]
    assert engine.generate([CHOICE]) == [Reply(text="b")]
    assert server.seen[0]["response_format"]["json_schema"]["schema"]["properties"]["choice"]["enum"] == ["a", "b"]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_passing_faults_are_retried(server, engine, status):
    server.answers = [(status, {"error": {"message": "busy"}}), GOOD]
    assert engine.generate([TEXT]) == [Reply(text="A lung.")]
    assert len(server.seen) == 2


def test_lasting_faults_stop_the_run(server, engine):
    server.answers = [(500, {"error": {"message": "broken"}})]
    with pytest.raises(EnvironmentFault, match="text server fails") as caught:
        engine.generate([TEXT])
    assert len(server.seen) == 4
    assert "secret-key" not in str(caught.value)


def test_nobody_listens():
    settings = TextSettings(engine="openai", model="m", base_url="http://127.0.0.1:9/v1")
    with pytest.raises(EnvironmentFault):
        OpenAiEngine(settings, max_retries=0).generate([TEXT])


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_wrong_key_or_model_is_the_users_fault(server, engine, status):
    server.answers = [(status, {"error": {"message": "no"}})]
    with pytest.raises(UsageError, match=KEY_VARIABLE) as caught:
        engine.generate([TEXT])
    assert "secret-key" not in str(caught.value)


def test_a_prompt_beyond_the_context_is_a_length_failure(server, engine):
    server.answers = [(400, {"error": {"message": "too long", "code": "context_length_exceeded"}})]
    assert engine.generate([TEXT]) == [Reply(failure="length")]


def test_another_bad_request_stops_the_run(server, engine):
    server.answers = [(400, {"error": {"message": "unknown parameter"}})]
    with pytest.raises(EnvironmentFault, match="unknown parameter"):
        engine.generate([TEXT])


def test_a_text_that_is_refused_stops_only_itself(server, engine):
    server.answers = [GOOD, (400, {"error": {"message": "odd"}})]
    assert engine.generate([TEXT]) == [Reply(text="A lung.")]
    assert engine.generate([TEXT]) == [Reply(failure="refused")]


def test_a_first_text_that_is_refused_stops_only_itself(server, engine):
    server.answers = [(400, {"error": {"message": "odd"}}), (200, body('{"word": "ready"}')[1]), GOOD]
    assert engine.generate([TEXT]) == [Reply(failure="refused")]
    assert engine.generate([TEXT]) == [Reply(text="A lung.")]
    assert [r["messages"][-1]["content"] for r in server.seen][1] == "Say ready."


def test_a_filtered_text_stops_only_itself(server, engine):
    server.answers = [(400, {"error": {"message": "filtered", "code": "content_filter"}})]
    assert engine.generate([TEXT]) == [Reply(failure="refused")]


def test_a_key_travels_and_is_never_printed(monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, "secret-key")
    key = Key.of_this_process()
    assert "secret-key" not in repr(key)
    monkeypatch.delenv(KEY_VARIABLE)
    key.install()
    assert os.environ[KEY_VARIABLE] == "secret-key"


@pytest.mark.parametrize(
    ("content", "finish", "reply"),
    [
        ('{"caption": "A lu', "length", Reply(failure="length")),
        ('{"caption": "12345678901234567890"}', "stop", Reply(failure="length")),
        ('{"caption": "1234567890123456789"}', "stop", Reply(text="1234567890123456789")),
        ('{"caption": " "}', "stop", Reply(text="")),
        ('{"caption": 3}', "stop", Reply(failure="malformed")),
        ('{"caption": "a", "more": 1}', "stop", Reply(failure="malformed")),
        ("A lung.", "stop", Reply(failure="malformed")),
        ('["caption"]', "stop", Reply(failure="malformed")),
        (None, "content_filter", Reply(failure="malformed")),
    ],
)
def test_reading_a_reply(server, engine, content, finish, reply):
    assert read_reply(TEXT, content, finish) == reply
    server.answers = [body(content, finish)]
    assert engine.generate([TEXT]) == [reply]


def test_an_answer_outside_the_closed_set_is_malformed():
    assert read_reply(CHOICE, '{"choice": "c"}', "stop") == Reply(failure="malformed")


def test_replies_keep_their_order_for_many_callers(server, engine):
    def echo(request):
        return body(json.dumps({"caption": request["messages"][1]["content"]}))[1]

    server.answers = [(200, echo)]
    calls = [[Request(system="", user=f"{i}-{j}", max_tokens=5, field="caption", max_chars=20) for j in range(5)]
             for i in range(4)]  # fmt: skip
    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(engine.generate, calls))
    assert [[r.text for r in g] for g in got] == [[r.user for r in c] for c in calls]


def test_weights_are_known_by_content_or_name(tmp_path):
    assert weights_hash(TextSettings(engine="openai", model="m", base_url="http://x")) == "name:m"
    (tmp_path / "model.safetensors").write_bytes(b"1")
    first = weights_hash(TextSettings(model=str(tmp_path)))
    (tmp_path / "model.safetensors").write_bytes(b"2")
    assert weights_hash(TextSettings(model=str(tmp_path))) != first
    assert len(weights_hash(TextSettings())) == 64
