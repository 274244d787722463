"""Runs of the command in their own process group, and what is left of them."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil

from pipelines import dataset
from pipelines.schema import Video
from tests.conftest import ROOT, TextServer


def start(arguments: Sequence[str], server: TextServer | None = None) -> subprocess.Popen[str]:
    """`preceptor ARGUMENTS` as the leader of a new process group."""
    environment = dict(os.environ, HF_HUB_OFFLINE="1")
    if server is not None:
        environment["PRECEPTOR_TEXT_API_KEY"] = server.key
    return subprocess.Popen([sys.executable, "-m", "cluster.cli", *arguments], cwd=ROOT, env=environment, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)  # fmt: skip


def run(arguments: Sequence[str], server: TextServer | None = None, timeout_s: float = 2000) -> str:
    """Its standard output; fails with its standard error unless it succeeds."""
    process = start(arguments, server)
    try:
        out, err = process.communicate(timeout=timeout_s)
    finally:
        end(process)
    assert process.returncode == 0, f"exit status {process.returncode}\n{out[-3000:]}\n{err[-3000:]}"
    return out


def end(process: subprocess.Popen[str]) -> None:
    """SIGKILL to the whole group and to everything it started elsewhere; wait until all are gone."""
    try:
        family = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        family = []
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    psutil.wait_procs(family, timeout=20)


def by_name(out: Path) -> dict[str, Video]:
    """The dataset's rows by file name."""
    return {Path(v.uri).name: v for v in dataset.rows(str(out))}
