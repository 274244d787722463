import threading
import time

from pipelines.stage import Lane


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
