"""What is asked of a cluster before a run begins; the run itself is in test_vlm.py."""

import signal
import threading
import time
from types import SimpleNamespace

import pytest

from pipelines.errors import UsageError
from train.ray_run import _check_room, _listening


@pytest.fixture
def nodes(monkeypatch):
    """The cluster's nodes, to be filled."""
    found = []
    monkeypatch.setattr("ray.nodes", lambda: [{"Alive": alive, "Resources": resources} for alive, resources in found])
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    return found


def test_workers_that_find_no_place_here_are_refused(nodes):
    nodes.append((True, {"CPU": 8.0}))
    said = []
    _check_room(8, {"CPU": 1.0}, said.append)
    assert said == []
    with pytest.raises(UsageError, match="room for 8 workers here, not for 9"):
        _check_room(9, {"CPU": 1.0}, said.append)
    with pytest.raises(UsageError, match="room for 0 workers"):
        _check_room(1, {"CPU": 1.0, "GPU": 1.0}, said.append)


def test_shares_of_a_gpu_are_counted_as_ray_counts_them(nodes):
    nodes.append((True, {"CPU": 16.0, "GPU": 1.0}))
    for share, count in ((0.1, 10), (0.2, 5), (0.05, 20)):
        _check_room(count, {"CPU": 0.5, "GPU": share}, print)


def test_a_worker_lies_on_one_node_and_a_cluster_may_grow(nodes, monkeypatch):
    nodes += [(True, {"CPU": 2.0})] * 4 + [(False, {"CPU": 64.0})]
    with pytest.raises(UsageError, match="room for 0 workers"):
        _check_room(1, {"CPU": 4.0}, print)
    monkeypatch.setenv("RAY_ADDRESS", "a:1")
    said = []
    _check_room(3, {"CPU": 4.0}, said.append)
    assert said == ["waiting for 3 workers: the cluster has room for 0 now"]


@pytest.fixture
def line(monkeypatch):
    """The actor between driver and worker 0, in this process: what worker 0 says, and what it is asked."""
    monkeypatch.setattr("ray.get", lambda answer: answer)
    made = SimpleNamespace(says=[], asked=[])

    def take(leaving):
        made.asked.append(leaving)
        taken, made.says = made.says, []
        return taken

    made.take = SimpleNamespace(remote=take)
    return made


def test_sigterm_before_a_worker_speaks_ends_the_command(line):
    def told():
        try:
            signal.raise_signal(signal.SIGTERM)
        except SystemExit:
            raise SystemExit(1) from None  # as Ray does on its way out

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended, _listening(line, print):
        told()
    assert ended.value.code == 143
    assert signal.getsignal(signal.SIGTERM) is before


def test_sigterm_is_passed_on_to_a_worker_that_speaks_and_a_second_one_ends_the_command(line):
    line.says, said = ["step 1"], threading.Event()

    def told_twice():
        assert said.wait(10)
        signal.raise_signal(signal.SIGTERM)
        deadline = time.monotonic() + 10
        while not any(line.asked) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert any(line.asked)
        signal.raise_signal(signal.SIGTERM)

    with pytest.raises(SystemExit) as ended, _listening(line, lambda text: said.set()):
        told_twice()
    assert ended.value.code == 143
