import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from pipelines.errors import EnvironmentFault, RowError, UsageError
from pipelines.job import Job, pack, unpack
from pipelines.ledger import Ledger
from pipelines.recipes import starter
from pipelines.resources import Pool
from pipelines.schema import Reason, Status, Video
from pipelines.stage import MAX_UNFORESEEN, Lane, Stage, _RowWorker, apply, faults_as_raised, start_ledger


def test_a_suspect_runs_alone() -> None:
    lane = Lane()
    running: list[str] = []
    beside: list[list[str]] = []

    def healthy(name: str) -> None:
        with lane.shared():
            running.append(name)
            time.sleep(0.05)
            running.remove(name)

    def suspect() -> None:
        with lane.alone():
            beside.append(list(running))
            running.append("suspect")
            time.sleep(0.05)
            beside.append([r for r in running if r != "suspect"])
            running.remove("suspect")

    threads = [threading.Thread(target=healthy, args=(f"h{i}",)) for i in range(4)]
    threads.insert(2, threading.Thread(target=suspect))
    threads.append(threading.Thread(target=suspect))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)
    assert beside == [[], [], [], []]


def test_healthy_rows_share() -> None:
    lane = Lane()
    barrier = threading.Barrier(2, timeout=5)

    def healthy() -> None:
        with lane.shared():
            barrier.wait()

    threads = [threading.Thread(target=healthy) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)
    assert not barrier.broken


@pytest.mark.parametrize("killer", range(6))
def test_a_row_that_kills_takes_no_neighbour_with_it(killer: int) -> None:
    """Six rows at once in one actor; when the killer runs, the process and all it holds is lost and handed out again."""
    ledger = Ledger()
    done: dict[str, int] = {}
    rows = [f"r{i}" for i in range(6)]
    while left := [r for r in rows if r not in done]:
        lane, dead = Lane(), threading.Event()

        def work(row: str, lane: Lane = lane, dead: threading.Event = dead) -> None:
            deaths = ledger.deaths("write", row, "node")
            with lane.alone() if deaths else lane.shared():
                if dead.is_set():
                    return
                ledger.begin("write", row, "node")
                if deaths < 2:
                    time.sleep(0.01)
                    if row == f"r{killer}":
                        dead.set()
                    if dead.is_set():
                        return  # nothing more runs in a process that is gone
            ledger.end("write", row, 0.0, None, None)
            done[row] = deaths

        threads = [threading.Thread(target=work, args=(row,)) for row in left]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=20)
    assert {row for row, deaths in done.items() if deaths >= 2} == {f"r{killer}"}


class RefusedKey:
    def __call__(self, job: Job) -> Job:
        raise UsageError("the key was refused")


class NoModel:
    def __init__(self) -> None:
        raise EnvironmentFault("there is no such model")


class Picky:
    def __call__(self, job: Job) -> Job:
        if job.video.video_id == "rejected":
            raise RowError(Reason.TOO_SHORT, "20 s")
        if job.video.video_id == "unforeseen":
            raise ZeroDivisionError("a bug")
        return job


class Dead(RefusedKey):
    dead = True


class Left(BaseException):
    """In the place of the process's end."""


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[_RowWorker, Ledger]]:
    """A stage's worker in this process, with its ledger."""
    monkeypatch.setattr("ray.get_runtime_context", lambda: SimpleNamespace(get_node_id=lambda: "node"))
    monkeypatch.setattr("pipelines.stage.ask", lambda ledger, name, *given: getattr(ledger, name)(*given))

    def leave(status: int) -> None:
        raise Left(status)

    monkeypatch.setattr("os._exit", leave)

    def made(make: Callable[..., object], *, last: bool = True) -> tuple[_RowWorker, Ledger]:
        ledger = Ledger()
        return _RowWorker(Stage(name="only", make=make, pool=Pool(), last=last), ledger, 2), ledger  # type: ignore[arg-type]

    return made


def row(name: str) -> dict[str, Any]:
    return {"row_id": name, "job": pack(Job(video=Video(video_id=name, uri="u")))}


def test_a_rows_fault_stays_with_its_row(worker: Callable[..., tuple[_RowWorker, Ledger]]) -> None:
    works, ledger = worker(Picky)
    videos = {name: unpack(works(row(name))["job"]).video for name in ("fine", "rejected", "unforeseen")}
    assert videos["fine"].status is Status.OK
    assert [t.stage for t in videos["fine"].stage_times] == ["only"]
    assert (videos["rejected"].status, videos["rejected"].reason) == (Status.REJECTED, Reason.TOO_SHORT)
    assert (videos["unforeseen"].status, videos["unforeseen"].detail) == (Status.FAILED, "ZeroDivisionError: a bug")
    assert ledger.snapshot().done == {"ok": 1, "rejected": 1, "failed": 1}


def test_a_decided_row_passes_untouched(worker: Callable[..., tuple[_RowWorker, Ledger]]) -> None:
    works, ledger = worker(RefusedKey)
    job = Job(video=Video(video_id="a", uri="u")).ended("before", RowError(Reason.TOO_SHORT, "20 s"))
    decided = {"row_id": "a", "job": pack(job)}
    assert works(decided) == decided
    assert ledger.snapshot().stages == {}


def test_a_row_on_which_processes_died_is_failed_before_it_kills_another(
    worker: Callable[..., tuple[_RowWorker, Ledger]],
) -> None:
    works, ledger = worker(Picky)
    for _ in range(2):  # begun, and never ended
        ledger.deaths("only", "fine", "node")
        ledger.begin("only", "fine", "node")
    video = unpack(works(row("fine"))["job"]).video
    assert (video.status, video.reason) == (Status.FAILED, Reason.ACTOR_DIED)
    assert video.detail == "2 processes of stage only died on this input"


def test_a_fault_of_the_run_is_noted_and_a_dead_engine_ends_its_process(
    worker: Callable[..., tuple[_RowWorker, Ledger]],
) -> None:
    works, ledger = worker(RefusedKey)
    with pytest.raises(UsageError, match="the key was refused"):
        works(row("a"))
    assert str(ledger.fault()) == "the key was refused"
    works, ledger = worker(Dead)
    with pytest.raises(Left):
        works(row("a"))
    assert ledger.fault() is None


def test_many_unforeseen_faults_are_ours_and_stop_the_run(worker: Callable[..., tuple[_RowWorker, Ledger]]) -> None:
    works, _ = worker(Picky)
    for _ in range(MAX_UNFORESEEN):
        works(row("unforeseen"))
    with pytest.raises(ZeroDivisionError):
        works(row("unforeseen"))


def through(make: Callable[..., object]) -> dict[str, Video]:
    """A video through a pool of one actor."""
    import ray.data

    ledger = start_ledger()
    stage = Stage(name="only", make=make, pool=Pool(), last=True)  # type: ignore[arg-type]
    with faults_as_raised(ledger):
        done = apply(ray.data.from_items([row("fine")]), stage, ledger=ledger, max_deaths=2).take_all()
    return {row["row_id"]: unpack(row["job"]).video for row in done}


@pytest.mark.cluster
def test_a_fault_of_the_run_arrives_as_itself() -> None:
    from cluster.connect import cluster

    with cluster(starter()):
        assert through(Picky)["fine"].status is Status.OK
        with pytest.raises(UsageError, match="^the key was refused$"):
            through(RefusedKey)
        with pytest.raises(EnvironmentFault, match="^there is no such model$"):
            through(NoModel)
