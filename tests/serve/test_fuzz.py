"""Whatever comes in, what goes out is an answer or one sentence with a 4xx, and the gateway goes on."""

import contextlib
import json
import random
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from serve.config import LimitSettings
from serve.errors import ApiError
from serve.requests import ChatRequest, known_model, read_request
from tests.serve.gateways import JSON, Echo, gateway, image, is_refusal, mp4, noisy_png, question, video

SHORT, LONG = 150, 20_000
KEEP = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    | st.sampled_from([10**400, -1, "\ud800", "\0", "<|im_end|>", "data:image/png;base64,", "https://127.0.0.1/a"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)  # fmt: skip
fields = st.sampled_from([*ChatRequest.__struct_fields__, "tools", "chat_template", "mm_processor_kwargs", "", "prompt"])


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path, *(p for key, value in inner for p in places(value, (*path, key)))]


@st.composite
def requests(draw: st.DrawFn) -> Any:
    """A good request with some of its places replaced, and further fields."""
    schema = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}
    request: Any = question([{"type": "text", "text": "a"}, image(b"a"), video(b"a")], response_format=schema, stop=["a"],
                            stream=True, stream_options={"include_usage": True})  # fmt: skip
    request |= draw(st.dictionaries(fields, anything, max_size=2))
    for _ in range(draw(st.integers(0, 3))):
        *parents, last = draw(st.sampled_from([p for p in places(request) if p] or [("model",)]))
        node = request
        for key in parents:
            node = node[key]
        node[last] = draw(anything)
    return request


def as_bytes(value: Any) -> bytes:
    return json.dumps(value).encode()


def read(body: bytes) -> None:
    with contextlib.suppress(ApiError):
        try:
            known_model(read_request(body, LimitSettings()), ("tiny",))
        except ApiError as error:
            if not is_refusal(error.status, json.dumps(error.body()).encode()):
                raise AssertionError(error.body()) from error
            raise


@settings(max_examples=4 * SHORT, suppress_health_check=KEEP)
@given(st.binary(max_size=200) | requests().map(as_bytes) | anything.map(as_bytes))
def test_any_body_is_read_or_refused(body: bytes) -> None:
    read(body)


@pytest.mark.long
@settings(max_examples=LONG, suppress_health_check=KEEP, derandomize=False)
@given(st.binary(max_size=2000) | requests().map(as_bytes) | anything.map(as_bytes))
def test_any_body_is_read_or_refused_long(body: bytes) -> None:
    read(body)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"{}", b'"a"', b"\xff\xfe", b"[" * 100_000, b'{"a":' * 100_000,
                                  b'{"model":"tiny","messages":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
                                  b'{"model":"tiny","messages":[{"role":"user","content":"a"}],"response_format":{"type":'
                                  b'"json_schema","json_schema":{"name":"a","schema":' + b'{"a":' * 5000 + b"1"
                                  + b"}" * 5003])  # fmt: skip
def test_malformed_bodies(body: bytes) -> None:
    with pytest.raises(ApiError) as refused:
        read_request(body, LimitSettings())
    assert refused.value.status == 400


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"model": 3}, "model"), ({"model": ""}, "model"), ({"messages": []}, "messages"), ({"messages": None}, "messages"),
        ({"messages": [{"role": "king", "content": "a"}]}, "messages[0].role"), ({"max_tokens": 0}, "max_tokens"),
        ({"messages": [{"role": "tool", "content": "a"}]}, "messages[0].role"), ({"max_tokens": 10**9}, "max_tokens"),
        ({"messages": [{"role": "user"}]}, "messages[0]"), ({"max_tokens": 10**30}, "max_tokens"),
        ({"messages": [{"role": "user", "content": None}]}, "messages[0].content"), ({"n": 10_000}, "n"),
        ({"messages": [{"role": "user", "content": []}]}, "messages[0].content"), ({"temperature": -1}, "temperature"),
        ({"messages": [{"role": "assistant", "content": [image(b"a")]}]}, "messages[0]"), ({"top_p": 0}, "top_p"),
        ({"messages": [{"role": "user", "content": [{"type": "audio", "audio": "x"}]}]}, "messages[0].content[0].type"),
        ({"tools": []}, None), ({"chat_template": "{{ 1 }}"}, None), ({"mm_processor_kwargs": {}}, None),
        ({"stop": [""]}, "stop[0]"), ({"stop": ["a"] * 17}, "stop"), ({"stream": "yes"}, "stream"),
        ({"seed": 2**64}, "seed"),
        ({"stream_options": {"include_usage": True}}, "stream_options"), ({"top_logprobs": 3}, "top_logprobs"),
        ({"max_completion_tokens": 5}, "max_tokens"), ({"n": 2, "temperature": 0}, "n"),
        ({"response_format": {"type": "json_schema"}}, "response_format"),
    ],
)  # fmt: skip
def test_wrong_fields_are_named(changes: dict[str, Any], param: str | None) -> None:
    with pytest.raises(ApiError) as refused:
        read_request(as_bytes(question(**changes)), LimitSettings())
    assert (refused.value.status, refused.value.param) == (400, param)


@pytest.mark.parametrize(("name", "there", "words"), [("messages", 3, "messages"), ("parts", 4, "content parts"),
                                                      ("text_chars", 9, "characters of text")])  # fmt: skip
def test_messages_parts_and_text_are_counted_over_the_whole_request(name: str, there: int, words: str) -> None:
    def text(words: str) -> dict[str, str]:
        return {"type": "text", "text": words}

    messages = [{"role": "user", "content": "four"}, {"role": "assistant", "content": [text("a"), text("bc")]},
                {"role": "user", "content": [text("de"), image(b"a")]}]  # fmt: skip
    body = as_bytes(question(messages=messages))
    assert len(read_request(body, LimitSettings(**{name: there})).messages) == 3
    with pytest.raises(ApiError, match=f"at most {there - 1} {words}") as refused:
        read_request(body, LimitSettings(**{name: there - 1}))
    assert (refused.value.status, refused.value.param) == (400, "messages")


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"pattern": "(a{1,1000}){1,1000}"}, "with pattern"), ({"patternProperties": {"^a": {}}}, "with patternProperties"),
        ({"properties": {"a": {"patternProperties": {}}}}, "with patternProperties"),
        ({"items": [{"maxLength": 10**9}]}, "maxLength in"), ({"minLength": 65_537}, "minLength in"),
        ({"properties": {"a": {"minItems": -1}}}, "minItems in"), ({"anyOf": [{"maxItems": 65_537}]}, "maxItems in"),
        ({"maxItems": 1e9}, "maxItems in"), ({"description": "x" * 20_000}, "at most 16384 characters"),
    ],
)  # fmt: skip
def test_schemas_that_would_stop_the_engine_are_refused(schema: dict[str, Any], words: str) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
    with pytest.raises(ApiError, match=words) as refused:
        read_request(as_bytes(question(response_format=wanted)), LimitSettings())
    assert (refused.value.status, refused.value.param) == (400, "response_format")


def test_a_property_may_be_called_pattern() -> None:
    text = {"type": "string", "minLength": 0, "maxLength": 65_536}
    schema = {"type": "object", "properties": {"pattern": text, "maxLength": text}}
    wanted = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
    assert read_request(as_bytes(question(response_format=wanted)), LimitSettings()).response_format is not None


def damaged(data: bytes, chance: random.Random) -> bytes:
    made = bytearray(data)
    for _ in range(chance.randrange(1, 30)):
        made[chance.randrange(len(made))] = chance.randrange(256)
    if chance.random() < 0.3:
        at = chance.randrange(len(made))
        made[at:at] = made[: chance.randrange(len(made))]
    return bytes(made[: chance.randrange(1, len(made))] if chance.random() < 0.3 else made)


def throw_media(folder: Path, rounds: int) -> None:
    echo, chance = Echo(), random.Random(7)
    films = [mp4(folder, seconds=2, size=(64, 48), options=o) for o in ({}, {"movflags": "faststart"})]
    made = gateway(echo)
    client = TestClient(made.app(), base_url="http://localhost", raise_server_exceptions=False)
    answers = set()
    for i in range(rounds):
        part = video(damaged(films[i % 2], chance)) if i % 3 else image(damaged(noisy_png(i % 5), chance))
        answer = client.post("/v1/chat/completions", content=as_bytes(question([part])), headers=JSON)
        assert answer.status_code == 200 or is_refusal(answer.status_code, answer.content), (i, answer.text)
        answers.add(re.sub(r"\W.*", "", str(answer.status_code)))
    assert answers == {"200", "400"}
    answer = client.post("/v1/chat/completions", content=as_bytes(question([video(films[0])])), headers=JSON)
    assert answer.status_code == 200
    assert made.running == 0
    made.close()


def test_damaged_media_are_used_or_refused(tmp_path: Path) -> None:
    throw_media(tmp_path, 150)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_damaged_media_are_used_or_refused_long(tmp_path: Path) -> None:
    throw_media(tmp_path, 5000)
