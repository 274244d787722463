"""Who may ask, how much, and what: the gateway alone, over a model that echoes."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from serve import keys
from serve.errors import ApiError
from serve.gateway import Gateway
from tests.serve.gateways import JSON, Echo, gateway, image, is_refusal, mp4, noisy_png, png, question, scope, video


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
def client(echo: Echo) -> Iterator[TestClient]:
    made = gateway(echo)
    with TestClient(made.app(), base_url="http://localhost", raise_server_exceptions=False) as client:
        yield client
    made.close()


def ask(client: TestClient, body: Any, **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body)
    return client.post("/v1/chat/completions", content=content, headers=JSON | headers)


def test_health_needs_neither_key_nor_model(tmp_path: Path, echo: Echo) -> None:
    made = gateway(echo, keys=tmp_path / "none.json")
    client = TestClient(made.app(), base_url="http://localhost")
    echo.up = False
    assert (client.get("/health").status_code, client.get("/ready").status_code) == (200, 503)
    echo.up = True
    assert client.get("/ready").json() == {"status": "ready"}
    made.draining = True
    assert (client.get("/ready").status_code, client.get("/ready").json()) == (503, {"status": "draining"})
    made.close()


def test_only_valid_keys_enter_and_a_revoked_one_no_longer(tmp_path: Path, echo: Echo) -> None:
    path = tmp_path / "keys.json"
    key = keys.add(path, "anna")
    made = gateway(echo, keys=path)
    client = TestClient(made.app(), base_url="http://localhost")
    for header in ({}, {"authorization": "Bearer "}, {"authorization": "Bearer wrong"}, {"authorization": f"Basic {key}"},
                   {"authorization": key}, {"authorization": f"Bearer {key}x"}):  # fmt: skip
        models = [client.get(f"/v1/models{name}", headers=header) for name in ("", "/tiny", "/none")]
        for answer in (ask(client, question(), **header), *models):
            assert answer.status_code == 401
            assert is_refusal(401, answer.content)
            assert answer.headers["www-authenticate"] == "Bearer"
    assert echo.bodies == []
    assert client.get("/v1/models/tiny", headers={"authorization": f"Bearer {key}"}).json()["id"] == "tiny"
    assert ask(client, question(), authorization=f"Bearer {key}").status_code == 200
    keys.revoke(path, "anna")
    assert ask(client, question(), authorization=f"Bearer {key}").status_code == 401
    path.chmod(0o644)
    answer = ask(client, question(), authorization=f"Bearer {key}")
    assert answer.status_code == 503
    assert str(path) not in answer.text
    made.close()


def test_a_web_page_that_renamed_itself_to_the_loopback_is_refused(client: TestClient) -> None:
    for host, status in (("evil.example", 403), ("evil.example:8000", 403), ("", 403), ("localhost:8000", 200),
                         ("127.0.0.1:1", 200), ("[::1]:8000", 200), ("localhost.evil.example", 403)):  # fmt: skip
        assert ask(client, question(), host=host).status_code == status, host
    assert ask(client, question(), **{"content-type": "text/plain"}).status_code == 415


def test_models(client: TestClient) -> None:
    assert [(m["id"], m["parent"]) for m in client.get("/v1/models").json()["data"]] == [("tiny", None), ("lora", "tiny")]
    assert client.get("/v1/models/lora").json()["id"] == "lora"
    assert is_refusal(404, client.get("/v1/models/none").content)
    assert is_refusal(404, client.get("/v2").content)
    assert is_refusal(405, client.get("/v1/chat/completions").content)


def test_text_reaches_the_model_as_it_was_sent(client: TestClient, echo: Echo) -> None:
    sent = question([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], temperature=0.5, stop=["x"], seed=3)
    sent |= {"user": "u"}
    sent["messages"].insert(0, {"role": "developer", "content": "be brief"})
    assert ask(client, sent).json()["model"] == "tiny"
    (body,) = echo.bodies
    assert body["messages"][0] == {"role": "system", "content": "be brief"}
    assert body["messages"][1:] == sent["messages"][1:]
    assert {k: v for k, v in body.items() if k != "messages"} == {
        "model": "tiny", "max_tokens": 8, "temperature": 0.5, "stop": ["x"], "seed": 3}  # fmt: skip


def test_what_a_client_sends_back_of_an_answer_is_accepted(client: TestClient) -> None:
    turn = {"role": "assistant", "content": "x", "refusal": None, "annotations": [], "audio": None, "function_call": None,
            "tool_calls": None, "reasoning": None}  # fmt: skip
    sent = question()
    sent["messages"] = [*sent["messages"], turn, {"role": "user", "content": "and?"}]
    assert ask(client, sent).status_code == 200
    for name, value in (("refusal", "no"), ("reasoning", "because"), ("annotations", [1])):
        sent["messages"][-2] = turn | {name: value}
        assert ask(client, sent).status_code == 400, name  # it would not reach the model


def test_pictures_and_films_become_plain(client: TestClient, echo: Echo, tmp_path: Path) -> None:
    frames = [noisy_png(i) for i in range(3)]
    film = mp4(tmp_path)
    answer = ask(client, question([image(png()), video(film), video(*frames, kind="video/jpeg", fps=1)]))
    assert answer.status_code == 200, answer.text
    picture, first, second = echo.bodies[0]["messages"][0]["content"]
    assert picture["image_url"]["url"].startswith("data:image/png;base64,")
    assert first["video_url"]["url"].count(",") == 3
    assert first["video_url"]["url"].startswith("data:video/jpeg;base64,")
    assert second["video_url"]["url"].count(",") == 3
    assert set(second["video_url"]) == {"url"}
    assert echo.bodies[0]["media_io_kwargs"] == {"video": {"fps": 1.0, "num_frames": -1}}


def test_videos_of_two_rates_are_not_mixed_up(client: TestClient) -> None:
    frames = [noisy_png(i) for i in range(2)]
    parts = [video(*frames, kind="video/jpeg", fps=f) for f in (1, 2)]
    assert "one frame rate" in ask(client, question(parts)).json()["error"]["message"]


def test_streams_arrive_whole_and_a_break_is_told(client: TestClient, echo: Echo) -> None:
    answer = ask(client, question(stream=True))
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert [line for line in answer.text.split("\n\n") if line] == [*(f"data: {i}" for i in range(5)), "data: [DONE]"]
    echo.break_after = 2
    lines = [line for line in ask(client, question(stream=True)).text.split("\n\n") if line]
    assert lines[:2] == ["data: 0", "data: 1"]
    assert json.loads(lines[2].removeprefix("data: "))["error"]["message"] == "The model failed."
    assert "data: [DONE]" not in lines
    assert echo.closed == 2


def test_a_refusal_of_the_engine_is_an_answer_also_to_a_stream(client: TestClient, echo: Echo) -> None:
    echo.refuse = ApiError(429, "The server is working at its limit.", retry_after_s=2)
    for stream in (False, True):
        answer = ask(client, question(stream=stream))
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) >= 2
        assert is_refusal(429, answer.content)


def test_a_key_that_asks_too_often_waits(tmp_path: Path, echo: Echo) -> None:
    path = tmp_path / "keys.json"
    anna, ben = keys.add(path, "anna"), keys.add(path, "ben")
    made = gateway(echo, keys=path, limits={"requests_per_minute": 6, "burst": 2})
    client = TestClient(made.app(), base_url="http://localhost")
    codes = [ask(client, question(), authorization=f"Bearer {anna}") for _ in range(3)]
    assert [c.status_code for c in codes] == [200, 200, 429]
    assert 9 <= int(codes[2].headers["retry-after"]) <= 11
    assert ask(client, question(), authorization=f"Bearer {ben}").status_code == 200
    made.close()


def test_each_of_two_gateways_grants_half_the_rate(echo: Echo) -> None:
    made = gateway(echo, limits={"requests_per_minute": 6, "burst": 4}, scaling={"gateways": 2})
    client = TestClient(made.app(), base_url="http://localhost")
    answers = [ask(client, question()) for _ in range(3)]
    assert [a.status_code for a in answers] == [200, 200, 429]
    assert 18 <= int(answers[2].headers["retry-after"]) <= 21
    made.close()


def test_a_mistake_of_ours_is_told_without_its_details(client: TestClient, echo: Echo) -> None:
    echo.refuse = ValueError("secret words")  # type: ignore[assignment]
    answer = ask(client, question())
    assert answer.status_code == 500
    assert "secret" not in answer.text
    echo.refuse = None
    assert ask(client, question()).status_code == 200


def test_a_sentence_quotes_no_control_characters(client: TestClient) -> None:
    for body in ({"\x1b[31mred\n": 1}, question(model="\x1b[31m\r\nred")):
        answer = ask(client, body)
        assert is_refusal(answer.status_code, answer.content)
        assert "red" in answer.json()["error"]["message"]


def test_addresses_of_media_are_checked_here_too(client: TestClient, echo: Echo) -> None:
    for url in ("https://127.0.0.1/a.mp4", "file:///etc/passwd", "http://example.org/a.mp4", "/etc/passwd", ""):
        for kind in ("image_url", "video_url"):
            answer = ask(client, question([{"type": kind, kind: {"url": url}}]))
            assert is_refusal(answer.status_code, answer.content), url
    assert "allowed_hosts" in ask(client, question([{"type": "image_url", "image_url": {"url": "https://x.org/a"}}])).text
    assert echo.bodies == []


def test_a_body_over_the_limit_is_refused_by_claim_and_by_count(echo: Echo) -> None:
    made = gateway(echo, limits={"request_bytes": 10_000})
    client = TestClient(made.app(), base_url="http://localhost", raise_server_exceptions=False)
    assert ask(client, question("x" * 20_000)).status_code == 413
    assert ask(client, question(), **{"content-length": str(10 << 30)}).status_code == 413
    assert ask(client, question(), **{"content-length": "9" * 5000}).status_code == 413
    assert ask(client, question(), **{"content-length": "-1"}).status_code == 400

    pieces = []

    async def endless() -> Any:
        pieces.append(1)
        return {"type": "http.request", "body": b"x" * 1000, "more_body": True}

    assert asyncio.run(_raw(made, endless)) == 413
    assert len(pieces) == 11  # no further than the limit
    made.close()


async def _raw(made: Gateway, receive: Any) -> int:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await made.app()(scope(), receive, send)
    return int(sent[0]["status"])


def test_a_body_that_does_not_arrive_is_given_up(echo: Echo) -> None:
    made = gateway(echo, limits={"body_timeout_s": 0.2})
    assert asyncio.run(_raw(made, lambda: asyncio.sleep(60))) == 408
    assert made.running == 0
    made.close()
