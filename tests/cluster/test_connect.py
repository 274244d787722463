"""A cluster that does not come up is the environment's fault, said in a sentence."""

import pytest
import ray

from cluster.connect import cluster
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
