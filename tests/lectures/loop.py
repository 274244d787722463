"""From a dataset to a table: the commands of the README's second half, one after the other, each printed as it is run.

`python -m tests.lectures.loop DATASET FOLDER` writes questions, fine-tunes the starter model on the videos that are not held
out, serves both models in turn, asks both about the held-out videos, and compares them.
"""

import contextlib
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipelines import dataset
from pipelines.schema import Status
from pipelines.split import place_of

TRAINING = ("stages.all.epochs=4", "stages.all.batch_packs=1")
"""Three lectures are soon learned by heart: a few small steps show the way, not what can be reached."""
START_S = 600.0
"""The longest that a served model may take to load."""


def preceptor(*words: str) -> None:
    """Run the command, shown as a user would type it.

    Raises:
        subprocess.CalledProcessError: it did not succeed.
    """
    print(f"\n$ preceptor {shlex.join(words)}", flush=True)
    subprocess.run([sys.executable, "-m", "cluster.cli", *words], check=True)


@contextlib.contextmanager
def served(model: str, name: str, log: Path) -> Iterator[str]:
    """The model behind HTTP, known as `name`; yields its address.

    Raises:
        RuntimeError: it did not come up; the log says why.
    """
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = str(probe.getsockname()[1])
    words = ["serve", model, "--keyless", "--port", port, "--set", f"engine.name={name}"]
    print(f"\n$ preceptor {shlex.join(words)} > {log} &", flush=True)
    with log.open("w", encoding="utf-8") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "cluster.cli", *words], stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        _wait_until_ready(process, log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(120)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait_until_ready(process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_S
    while "ready: " not in (said := log.read_text(encoding="utf-8", errors="replace")):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"The server did not come up:\n{said[-2000:]}")
        time.sleep(0.5)


def share_that_holds_out(video_ids: Sequence[str], count: int) -> float:
    """A share of videos to hold out that is met by exactly `count` of these, whatever folder they lie in.

    Raises:
        ValueError: there are not more videos than that.
    """
    places = sorted(place_of(v) for v in video_ids)
    if not 0 < count < len(places):
        raise ValueError(f"{count} of {len(places)} videos cannot be held out")
    return round((places[count - 1] + places[count]) / 2, 6)


def ask(url: str, name: str, data: str, folder: Path, settings: Sequence[str], conditions: Sequence[str]) -> None:
    """`preceptor evaluate` with pictures, and then under each further condition."""
    words = ["--url", url, "--model", name, "--benchmark", data, "--out", str(folder / name), "--concurrency", "4"]
    words += [word for pair in settings for word in ("--set", pair)]
    for condition in ("", *conditions):
        preceptor("evaluate", *words, *([f"--{condition}"] if condition else []))


def close(
    data: str, folder: Path, share: float, *, train: Sequence[str] = (), asked: Sequence[str] = (),
    conditions: Sequence[str] = (),
) -> None:  # fmt: skip
    """Train on the dataset's other videos, and ask base and tuned model about the held-out ones.

    `train` and `asked` are further settings of the two commands; under `conditions` the tuned model is asked too.
    """
    folder.mkdir(parents=True, exist_ok=True)
    chosen = [word for pair in (f"data.held_out_share={share}", *train) for word in ("--set", pair)]
    preceptor("train", "vlm", "--data", data, "--out", str(folder / "training"), *chosen)
    for name, model in (("base", "starter"), ("tuned", str(folder / "training" / "model"))):
        with served(model, name, folder / f"serve_{name}.log") as url:
            settings = (f"held_out_share={share}", *asked)
            ask(url, name, data, folder, settings, conditions if name == "tuned" else ())
    preceptor("evaluate", "compare", str(folder / "base"), str(folder / "tuned"), "--out", str(folder / "compared.json"))


def main() -> None:
    """The demo's loop: two of its five lectures are held out."""
    data, folder = sys.argv[1], Path(sys.argv[2])
    preceptor("instruct", data)
    ids = [v.video_id for v in dataset.rows_in_order(data, Status.OK, ("status",))]
    close(data, folder, share_that_holds_out(ids, 2), train=TRAINING, conditions=["blind"])


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python -m tests.lectures.loop DATASET FOLDER")
    main()
