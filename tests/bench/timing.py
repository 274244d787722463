"""Medians of several, because these machines are noisy."""

import statistics
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
