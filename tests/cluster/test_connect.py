"""A cluster that does not come up is the environment's fault, said in a sentence."""

import os

import pytest
import ray

from cluster.connect import cluster, set_environment
from pipelines.errors import EnvironmentFault


@pytest.mark.parametrize(("address", "said"), [(None, "Ray does not start here: timed out"), ("a:1", "a:1: timed out")])
def test_a_cluster_that_does_not_come_up(monkeypatch: pytest.MonkeyPatch, address: str | None, said: str) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    if address:
        monkeypatch.setenv("RAY_ADDRESS", address)

    def init(**given: object) -> None:
        raise Exception("timed out")  # as Ray does

    monkeypatch.setattr(ray, "init", init)
    with pytest.raises(EnvironmentFault, match=said), cluster():
        pass


def test_a_cluster_of_our_own_listens_here_only_and_asks_for_a_new_token(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, object] = {}
    tokens = []
    for _ in range(2):
        for name in ("RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(ray, "init", lambda **options: given.update(options))
        set_environment()
        with cluster():
            tokens.append(os.environ["RAY_AUTH_TOKEN"])
    assert os.environ["RAY_AUTH_MODE"] == "token"
    assert given["_node_ip_address"] == "127.0.0.1"
    assert given["include_dashboard"] is False
    assert len(set(tokens)) == 2
    assert all(len(token) == 64 for token in tokens)


def test_another_cluster_has_its_own_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "a:1")
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    set_environment()
    assert "RAY_AUTH_TOKEN" not in os.environ
