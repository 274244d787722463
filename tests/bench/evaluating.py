"""What `preceptor evaluate` costs beside a server that answers each question after a fixed delay."""

import json
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from tests.bench.timing import REPEATS
from tests.pipelines import datasets
from tests.serve.evaluation.chat import Trouble, serving

QUESTIONS, AT_ONCE, DELAY_S = 480, 16, 0.25


def bench(folder: Path) -> None:
    """Wall-clock time against questions x delay / concurrency, and what a question costs where nothing is waited for."""
    data = questions(folder / "data", QUESTIONS)
    ideal = QUESTIONS * DELAY_S / AT_ONCE
    delayed, at_once = [], []
    for _ in range(REPEATS):
        delayed.append(asked(data, folder / "out", DELAY_S))
        at_once.append(asked(data, folder / "out", 0.0)[1])
    whole, wall = (statistics.median(x[i] for x in delayed) for i in (0, 1))
    cost_ms = 1000 * statistics.median(at_once) / QUESTIONS
    print(f"{'ideal: questions x delay / concurrency':46} {ideal:8.2f} s")
    print(f"{'evaluate, first question to last answer':46} {wall:8.2f} s  {wall / ideal - 1:+.1%}: "
          f"{1000 * (wall - ideal) / QUESTIONS:.2f} ms a question")  # fmt: skip
    print(f"{'a question, the server answering at once':46} {cost_ms:8.2f} ms")
    print(f"  {QUESTIONS} questions with pictures of 640 x 480, {AT_ONCE} at once, delay {DELAY_S:g} s; "
          f"start-up, results and table {whole - wall:.1f} s more")  # fmt: skip


def questions(folder: Path, count: int) -> Path:
    """VQA-RAD's form, a picture for every question."""
    if not (folder / "VQA_RAD Dataset Public.json").exists():
        (folder / "images").mkdir(parents=True, exist_ok=True)
        rows = []
        for i in range(count):
            (folder / "images" / f"{i}.jpg").write_bytes(datasets.picture("bench", i, (640, 480)).data)
            rows.append({"qid": i, "image_name": f"{i}.jpg", "question": f"Is number {i} normal?", "answer": "Yes",
                         "answer_type": "CLOSED", "phrase_type": "test_freeform"})  # fmt: skip
        (folder / "VQA_RAD Dataset Public.json").write_text(json.dumps(rows))
    return folder


def asked(data: Path, out: Path, delay_s: float) -> tuple[float, float]:
    """Seconds of the whole command, and from its first question to its last answer."""
    shutil.rmtree(out, ignore_errors=True)
    with serving(lambda request: Trouble(content="Yes.", stall_s=delay_s)) as server:
        command = [sys.executable, "-m", "cluster.cli", "evaluate", "--url", server.url, "--model", "m", "--benchmark",
                   "VQA-RAD", "--data", str(data), "--out", str(out), "--concurrency", str(AT_ONCE)]  # fmt: skip
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        whole_s = time.perf_counter() - began
        assert len(server.seen) == QUESTIONS
        return whole_s, server.times[-1] + delay_s - server.times[0]
