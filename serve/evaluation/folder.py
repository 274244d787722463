"""The folder of a run: what made it, how many questions it has, and the lock that keeps a second run out."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import filelock

from pipelines.errors import UsageError
from pipelines.settings import fingerprint


@contextlib.contextmanager
def locked(out: Path) -> Iterator[None]:
    """Only one run at a time writes here.

    Raises:
        UsageError: another run holds the folder.
    """
    out.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(out / ".lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout as error:
        raise UsageError(f"Another run is writing to {out}.") from error
    try:
        yield
    finally:
        lock.release()


def open_run(out: Path, identity: dict[str, str]) -> None:
    """Continue the run in `out`, or begin one.

    Raises:
        UsageError: another run made it; what differs is named.
    """
    if (out / "run.json").exists():
        saved = identity_of(out)
        differing = sorted(k for k in saved.keys() | identity.keys() if saved.get(k) != identity.get(k))
        if differing:
            named = "; ".join(f"{k}: {saved.get(k)} there, {identity.get(k)} here" for k in differing[:5])
            raise UsageError(f"{out} holds another run ({named}); choose another --out.")
    body = {"fingerprint": fingerprint(identity), "identity": identity}
    _write(out / "run.json", json.dumps(body, indent=2, sort_keys=True))


def identity_of(out: Path) -> dict[str, str]:
    """What made the run in `out`.

    Raises:
        UsageError: there is none.
    """
    try:
        identity: dict[str, str] = json.loads((out / "run.json").read_text())["identity"]
    except FileNotFoundError as error:
        raise UsageError(f"{out} holds no run: it has no run.json.") from error
    except (ValueError, KeyError) as error:
        raise UsageError(f"{out}/run.json cannot be read: {error}.") from error
    return identity


def write_questions(out: Path, number: int) -> None:
    """Note how many questions the benchmark has, asked or not."""
    _write(out / "questions.json", json.dumps({"questions": number}))


def questions_of(out: Path) -> int:
    """How many questions the benchmark has."""
    return int(json.loads((out / "questions.json").read_text())["questions"])


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text)
    temporary.replace(path)
