"""Medians of several, because these machines are noisy; what is compared runs in a process of its own."""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

REPEATS = 3


def median_s(work: Callable[[], Any], repeats: int = REPEATS) -> float:
    """Median wall-clock seconds."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def in_turns(*works: Callable[[], Any]) -> list[float]:
    """Median wall-clock seconds of each, one after the other several times: a noisy neighbour meets all."""
    times = [[median_s(work, 1) for work in works] for _ in range(REPEATS)]
    return [statistics.median(of_one) for of_one in zip(*times, strict=True)]


def said_by(module: str, *arguments: str) -> str:
    """The last line that a module prints, run in a process of its own."""
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip().splitlines()[-1]
