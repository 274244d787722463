import contextlib
import socket
from types import SimpleNamespace
from typing import Any

import pytest
import ray.serve
import ray.serve.context
from ray.serve.config import HTTPOptions
from ray.serve.schema import ServeStatus

from pipelines.errors import UsageError
from serve.config import HttpSettings, ServeConfig
from serve.model import Served
from serve.run import check_running, run

TLS = {"tls_cert_file": "a.pem", "tls_key_file": "b.pem"}
LIVE_TLS = {"ssl_certfile": "a.pem", "ssl_keyfile": "b.pem"}


def live(**options: Any) -> HTTPOptions:
    """As the controller tells it; `model_construct` reads no certificate."""
    return HTTPOptions.model_construct(**{"host": "127.0.0.1", "port": 8000} | options)


@pytest.mark.parametrize(
    ("wanted", "there", "words"),
    [
        ({"port": 9000}, {}, "listens on 127.0.0.1:8000 without TLS, not on 127.0.0.1:9000 without TLS"),
        ({"host": "0.0.0.0"}, {}, "listens on 127.0.0.1:8000"),
        ({"keyless": True}, {"host": "0.0.0.0"}, "listens on 0.0.0.0:8000"),
        ({"keyless": True}, {"host": None}, "listens on None:8000"),
        (TLS, {}, r"without TLS, not on 127.0.0.1:8000 with TLS \(a.pem, b.pem\)"),
        ({}, LIVE_TLS, "with TLS"),
        (TLS, LIVE_TLS | {"ssl_keyfile": "c.pem"}, "c.pem"),
    ],
)
def test_a_serve_that_listens_otherwise_is_refused(wanted: dict[str, Any], there: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        check_running(HttpSettings(**wanted), live(**there), ())


def test_a_serve_that_listens_as_wanted_is_joined_unless_our_name_is_taken() -> None:
    check_running(HttpSettings(keyless=True), live(), ("another",))
    check_running(HttpSettings(**TLS), live(**LIVE_TLS), ())
    with pytest.raises(UsageError, match="already serves an application named preceptor"):
        check_running(HttpSettings(), live(), ("another", "preceptor"))


@contextlib.contextmanager
def connected(**options: Any) -> Any:
    yield


def refused(http: HttpSettings) -> str:
    with pytest.raises(UsageError) as error:
        run(Served(source="none", name="tiny"), ServeConfig(http=http), connect=connected, say=print)
    return str(error.value)


def test_nothing_is_started_or_deleted_where_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    touched: list[str] = []
    for name in ("start", "run_many", "delete"):
        monkeypatch.setattr(ray.serve, name, lambda *a, name=name, **k: touched.append(name))
    monkeypatch.setattr(ray.serve, "status", ServeStatus)
    client: list[Any] = [SimpleNamespace(http_config=live(host="0.0.0.0"))]
    monkeypatch.setattr(ray.serve.context, "_get_global_client", lambda **k: client[0])
    assert "listens on 0.0.0.0:8000" in refused(HttpSettings(keyless=True))
    client[0] = None
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert "cannot be listened on" in refused(HttpSettings(keyless=True, port=taken.getsockname()[1]))
    assert touched == []


@pytest.mark.parametrize(("http", "host"), [(HttpSettings(), "127.0.0.1"), (HttpSettings(host="0.0.0.0"), "0.0.0.0")])
def test_it_listens_where_it_is_told_and_by_default_on_this_machine_only(
    monkeypatch: pytest.MonkeyPatch, http: HttpSettings, host: str
) -> None:
    given: dict[str, Any] = {}

    def start(**options: Any) -> None:
        given.update(options)
        raise KeyboardInterrupt

    monkeypatch.setattr(ray.serve, "start", start)
    monkeypatch.setattr(ray.serve.context, "_get_global_client", lambda **k: None)
    monkeypatch.setattr("serve.run._check_port", lambda *a: None)
    monkeypatch.setattr("serve.run._on_signal", lambda stop: None)
    with pytest.raises(KeyboardInterrupt):
        run(Served(source="none", name="tiny"), ServeConfig(http=http), connect=connected, say=print)
    assert given["http_options"]["host"] == host
    assert given["proxy_location"] == ("HeadOnly" if host == "127.0.0.1" else "EveryNode")
