"""Runs that are killed, and inputs that kill: nothing is lost, nothing is doubled, no neighbour fails."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import imageio_ffmpeg
import psutil
import pyarrow.parquet as pq
import pytest

from pipelines import dataset
from pipelines.audit import audit
from pipelines.schema import Reason, Status
from tests import runs
from tests.conftest import TextServer

pytestmark = [pytest.mark.cluster, pytest.mark.engine, pytest.mark.timeout(2000)]

# a rest of three seconds is a streak here: the pieces are too short for the default
BRIEF = ["--set", "probe.min_duration_s=5", "--set", "narrative.streak_interval_s=1"]
KILLS = 5


@pytest.fixture(scope="module")
def brief_lectures(demo_videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pieces of lectures, 14 s each, so that a run is short and a kill can fall anywhere in it."""
    folder = tmp_path_factory.mktemp("brief")
    pieces = [("mri.mp4", 20), ("histopathology.mp4", 20), ("ophthalmology.mp4", 20), ("mri.mp4", 40), ("talk.mp4", 20)]
    for number, (name, start_s) in enumerate(pieces):
        cut(demo_videos / name, folder / f"piece{number}.mkv", start_s)
    shutil.copy(demo_videos / "text.mp4", folder / "text.mp4")
    return folder


def cut(source: Path, target: Path, start_s: float, seconds: float = 14.0) -> None:
    """A re-encoded piece with a key frame every two seconds, as a stream that needs no rewinding."""
    arguments = ["-ss", str(start_s), "-i", str(source), "-t", str(seconds), "-c:v", "libx264", "-preset", "veryfast",
                 "-g", "30", "-c:a", "aac", "-y", str(target)]  # fmt: skip
    os.spawnv(os.P_WAIT, imageio_ffmpeg.get_ffmpeg_exe(), ["ffmpeg", "-loglevel", "error", *arguments])
    assert target.stat().st_size > 0


def committed(out: Path) -> dict[str, int]:
    """Row ids of complete files, with how often each stands there."""
    counts: dict[str, int] = {}
    for path in (out / "videos").glob("*.parquet"):
        for row_id in pq.read_table(path, columns=["row_id"])["row_id"].to_pylist():
            counts[row_id] = counts.get(row_id, 0) + 1
    return counts


@pytest.mark.long
@pytest.mark.timeout(4000)
def test_sigkill_of_the_whole_group_at_five_random_moments(
    brief_lectures: Path, text_server: TextServer, tmp_path: Path
) -> None:
    arguments = ["curate", str(brief_lectures), *BRIEF, *text_server.settings()]
    started = time.monotonic()
    runs.run([*arguments, "--out", str(tmp_path / "undisturbed")], text_server)
    whole_s = time.monotonic() - started
    wanted = dataset.digest(str(tmp_path / "undisturbed"))
    wanted_rows = committed(tmp_path / "undisturbed")

    out = tmp_path / "killed"
    moments = random.Random(7)
    committed_at_kill: list[int] = []
    while len(committed_at_kill) < KILLS:
        process = runs.start([*arguments, "--out", str(out)], text_server)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=moments.uniform(0.25, 0.7) * whole_s)
        if process.poll() is not None:  # a machine that is faster by now: from the beginning, with earlier kills
            assert process.returncode == 0
            whole_s *= 0.7
            shutil.rmtree(out)
            committed_at_kill.clear()
            continue
        runs.end(process)
        process.communicate()
        committed_at_kill.append(len(committed(out)))
    assert any(0 < n < len(wanted_rows) for n in committed_at_kill), committed_at_kill
    runs.run([*arguments, "--out", str(out)], text_server)
    found = audit(str(out))
    assert found.problems == ()
    assert found.digest == wanted
    assert set(committed(out).values()) == {1}
    finished_at = {v.video_id: v.finished_at for v in dataset.rows(str(out))}
    runs.run([*arguments, "--out", str(out)], text_server)
    assert {v.video_id: v.finished_at for v in dataset.rows(str(out))} == finished_at


@contextlib.contextmanager
def background(work: object) -> Iterator[threading.Event]:
    stop = threading.Event()
    thread = threading.Thread(target=work, args=(stop,), daemon=True)  # type: ignore[arg-type]
    thread.start()
    try:
        yield stop
    finally:
        stop.set()
        thread.join(timeout=10)


def await_readers(path: Path) -> list[psutil.Process]:
    """Whoever is opening `path`: its descriptor appears a moment after our own open has succeeded."""
    deadline = time.monotonic() + 10
    while not (found := readers(path)) and time.monotonic() < deadline:
        time.sleep(0.01)
    return found


def readers(path: Path) -> list[psutil.Process]:
    """Processes that hold `path` open for reading."""
    found = []
    for process in psutil.process_iter():
        if process.pid == os.getpid():
            continue
        try:
            descriptors = Path(f"/proc/{process.pid}/fd")
            if any(os.readlink(d) == str(path) for d in descriptors.iterdir()):
                found.append(process)
        except (OSError, psutil.Error):
            continue
    return found


def open_when_read(pipe: Path, stop: threading.Event) -> int | None:
    """The writing end, as soon as somebody reads."""
    while not stop.is_set():
        try:
            return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            time.sleep(0.02)
    return None


@pytest.mark.long
def test_each_poison_fails_alone_and_what_was_committed_stays(
    demo_dataset: Path, demo_videos: Path, tmp_path: Path
) -> None:
    """More videos for a finished dataset: one sound, one that crashes its decoder, one that hangs, one that kills actors."""
    folder, out = tmp_path / "more", tmp_path / "dataset"
    folder.mkdir()
    shutil.copytree(demo_dataset, out)
    before = {v.video_id: v.finished_at for v in dataset.rows(str(out))}
    crash, deadly, hang = folder / "crash.mp4", folder / "deadly.mkv", folder / "hang.mp4"
    for pipe in (crash, deadly, hang):
        os.mkfifo(pipe)
    cut(demo_videos / "ophthalmology.mp4", folder / "fine.mkv", start_s=0, seconds=62)
    content = (folder / "fine.mkv").read_bytes()

    def crasher(stop: threading.Event) -> None:
        """Whoever reads this file gets a segmentation fault."""
        while (descriptor := open_when_read(crash, stop)) is not None:
            for process in await_readers(crash):
                process.send_signal(signal.SIGSEGV)
            os.close(descriptor)
            time.sleep(0.1)

    def killer(stop: threading.Event) -> None:
        """The file is a sound lecture for two passes; in the third, its listener's process is killed, always."""
        opened = 0
        while (descriptor := open_when_read(deadly, stop)) is not None:
            opened += 1
            if opened <= 2:
                os.set_blocking(descriptor, True)
                with os.fdopen(descriptor, "wb") as file, contextlib.suppress(BrokenPipeError):
                    file.write(content)
            else:
                for process in await_readers(deadly):
                    parent = process.parent()
                    if parent is not None and "ray::" in " ".join(parent.cmdline()):
                        parent.kill()
                os.close(descriptor)
            while not stop.is_set() and readers(deadly):
                time.sleep(0.05)

    with background(crasher), background(killer):
        runs.run(["curate", str(folder), "--out", str(out), "--set", "resources.deadline_base_s=40"])
    rows = runs.by_name(out)
    assert audit(str(out)).problems == ()
    assert (rows["crash.mp4"].reason, rows["crash.mp4"].detail) == (Reason.DECODER_CRASHED, "signal 11 (SIGSEGV)")
    assert (rows["hang.mp4"].reason, rows["hang.mp4"].stage) == (Reason.DEADLINE, "screen")
    assert (rows["deadly.mkv"].reason, rows["deadly.mkv"].stage) == (Reason.ACTOR_DIED, "listen")
    assert rows["fine.mkv"].status is Status.OK
    after = {v.video_id: v.finished_at for v in dataset.rows(str(out))}
    assert len(after) == len(before) + 4
    assert after | before == after
