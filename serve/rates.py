"""A token bucket per key."""

import time
from collections.abc import Callable


class Rates:
    """`per_minute` requests of one owner, `burst` at once."""

    def __init__(self, per_minute: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s, self._burst, self._clock = per_minute / 60.0, max(1.0, burst), clock
        self._buckets: dict[str, tuple[float, float]] = {}
        """Owner to tokens left and when that was; owners are the names of valid keys, so there are few."""

    def wait_s(self, owner: str) -> float:
        """0.0 if the request may go on (and is counted); else how long until the next may."""
        now = self._clock()
        left, then = self._buckets.get(owner, (self._burst, now))
        left = min(self._burst, left + (now - then) * self._per_s)
        allowed = left >= 1.0
        self._buckets[owner] = (left - 1.0 if allowed else left, now)
        return 0.0 if allowed else (1.0 - left) / self._per_s
