import threading
import time
from collections.abc import Callable

import pytest

from pipelines.errors import EnvironmentFault, RowError, UsageError
from pipelines.job import Job, pack, unpack
from pipelines.ledger import Ledger
from pipelines.recipes import starter
from pipelines.resources import Pool
from pipelines.schema import Reason, Status, Video
from pipelines.stage import Lane, Stage, apply, faults_as_raised, start_ledger


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


def through(make: Callable[..., object]) -> dict[str, Video]:
    """Three videos through a pool of one actor."""
    import ray.data

    ledger = start_ledger()
    stage = Stage(name="only", make=make, pool=Pool(), last=True)  # type: ignore[arg-type]
    rows = [{"row_id": n, "job": pack(Job(video=Video(video_id=n, uri="u")))} for n in ("fine", "rejected", "unforeseen")]
    with faults_as_raised(ledger):
        done = apply(ray.data.from_items(rows), stage, ledger=ledger, max_deaths=2).take_all()
    return {row["row_id"]: unpack(row["job"]).video for row in done}


@pytest.mark.cluster
def test_a_fault_of_the_run_arrives_as_itself_and_a_rows_fault_stays_with_its_row() -> None:
    from cluster.connect import cluster

    with cluster(starter()):
        videos = through(Picky)
        with pytest.raises(UsageError, match="^the key was refused$"):
            through(RefusedKey)
        with pytest.raises(EnvironmentFault, match="^there is no such model$"):
            through(NoModel)
    assert videos["fine"].status is Status.OK
    assert (videos["rejected"].status, videos["rejected"].reason) == (Status.REJECTED, Reason.TOO_SHORT)
    assert (videos["unforeseen"].status, videos["unforeseen"].detail) == (Status.FAILED, "ZeroDivisionError: a bug")
    assert [t.stage for t in videos["fine"].stage_times] == ["only"]
