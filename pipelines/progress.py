"""What a person sees while a run goes on: videos and hours done, rate, time left, each stage's work."""

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from pipelines.ledger import Snapshot, ask, remaining_s


class Progress:
    """A live table on a terminal, plain lines elsewhere."""

    def __init__(self, console: Console, plain_interval_s: float = 15.0) -> None:
        self._console, self._plain_interval_s = console, plain_interval_s

    @contextlib.contextmanager
    def watching(self, ledger: Any, inputs: int) -> Iterator[None]:
        """Show the ledger's state until the block ends."""
        stop = threading.Event()
        thread = threading.Thread(target=self._watch, args=(ledger, inputs, stop), daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(timeout=10)

    def _watch(self, ledger: Any, inputs: int, stop: threading.Event) -> None:
        started = time.monotonic()
        if self._console.is_terminal:
            with Live(console=self._console, refresh_per_second=2, transient=True) as live:
                while not stop.wait(0.5):
                    live.update(table(ask(ledger, "snapshot"), inputs, time.monotonic() - started))
            return
        last = ""
        while not stop.wait(self._plain_interval_s):
            snapshot = ask(ledger, "snapshot")
            said = headline(snapshot, inputs, time.monotonic() - started)
            if said != last:
                self._console.print(f"{said}; {stage_line(snapshot)}", soft_wrap=True, highlight=False)
            last = said


def headline(snapshot: Snapshot, inputs: int, elapsed_s: float) -> str:
    """`[2.0 min] 3 of 12 videos (0.10 of 0.40 h), 2 ok, 1 rejected, 3.0x real time, 6.0 min left`."""
    done = sum(snapshot.done.values())
    parts = [f"{done} of {inputs} videos ({snapshot.done_video_s / 3600:.2f} of {snapshot.known_video_s / 3600:.2f} h)"]
    if snapshot.done:
        parts.append(", ".join(f"{n} {status}" for status, n in sorted(snapshot.done.items())))
    if snapshot.done_video_s and elapsed_s:
        parts.append(f"{snapshot.done_video_s / elapsed_s:.1f}x real time")
    left_s = remaining_s(snapshot, inputs, elapsed_s)
    parts.append("starting" if not snapshot.stages else "time left unknown" if left_s is None else f"{span(left_s)} left")
    return f"[{span(elapsed_s)}] " + ", ".join(parts)


def stage_line(snapshot: Snapshot) -> str:
    """`screen 12 done, look 3 done 1 in work`."""
    return ", ".join(
        f"{name} {done} done" + (f" {working} in work" if working else "")
        for name, (working, done, _) in snapshot.stages.items()
    )


def table(snapshot: Snapshot, inputs: int, elapsed_s: float) -> Table:
    """The headline over one row per stage."""
    view = Table(title=headline(snapshot, inputs, elapsed_s), title_justify="left", box=None)
    for column in ("stage", "in work", "done", "seconds each"):
        view.add_column(column, justify="left" if column == "stage" else "right")
    for name, (working, done, seconds) in snapshot.stages.items():
        view.add_row(name, str(working), str(done), f"{seconds / done:.1f}" if done else "")
    return view


def span(seconds: float) -> str:
    """`4.2 s`, `7.0 min`, `3.5 h`."""
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
