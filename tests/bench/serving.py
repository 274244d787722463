"""`preceptor serve` beside vLLM's own HTTP server: the same starter VLM, engine settings and requests, one after the other.

The engine's arguments are those of `serve`; vLLM's processes are its own choice (its engine beside its HTTP server).
"""

import asyncio
import base64
import contextlib
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from tests import runs
from tests.bench.timing import REPEATS
from tests.conftest import ROOT
from tests.pipelines import datasets
from tests.serve.conftest import free_port

REQUESTS, AT_ONCE, TOKENS = 32, 8, 32
NAME = "starter"
SETTINGS = ("engine.max_model_len=2048", f"engine.name={NAME}", "limits.requests_per_minute=100000", "limits.burst=10000")


def bench(folder: Path) -> None:
    """Requests a second and latencies of both; each is started, warmed up, measured and ended in its turn."""
    folder.mkdir(parents=True, exist_ok=True)
    answers: dict[str, list[tuple[float, list[float]]]] = {"bare": [], "ours": []}
    for _ in range(REPEATS):
        for which in answers:
            with {"bare": bare, "ours": ours}[which](folder / f"{which}.log") as url:
                asyncio.run(load(url, questions(AT_ONCE, seed=1000)))
                answers[which].append(asyncio.run(load(url, questions(REQUESTS))))
    for which, title in (("bare", "vLLM's own HTTP server"), ("ours", "serve: Ray Serve, gateway, vLLM")):
        seconds = statistics.median(s for s, _ in answers[which])
        p50, p95 = np.percentile([x for _, latencies in answers[which] for x in latencies], (50, 95))
        print(f"{title:46} {REQUESTS / seconds:8.2f} requests/s  latency p50 {p50:.2f} s, p95 {p95:.2f} s", flush=True)
    ratio = statistics.median(b / o for (b, _), (o, _) in zip(answers["bare"], answers["ours"], strict=True))
    print(f"  {ratio:.2f} of bare vLLM's throughput; bar: 0.85; {REQUESTS} requests with a picture, {AT_ONCE} at once, "
          f"{TOKENS} tokens each")  # fmt: skip


def questions(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Requests with a text and a picture of 640 x 480, no two alike."""
    made = []
    for i in range(seed, seed + count):
        jpeg = datasets.picture("bench", i, (640, 480)).data
        url = "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()
        text = f"Picture {i}: what does it show, and what would you look for next?"
        content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": text}]
        made.append({"model": NAME, "messages": [{"role": "user", "content": content}], "max_tokens": TOKENS,
                     "temperature": 0, "seed": 0, "ignore_eos": True})  # fmt: skip
    return made


async def load(url: str, requests: list[dict[str, Any]]) -> tuple[float, list[float]]:
    """Seconds for all, and of each; `AT_ONCE` callers, each with its next request as soon as it has an answer."""
    waiting, latencies = iter(requests), []

    async def ask() -> None:
        for body in waiting:
            began = time.perf_counter()
            answer = (await client.post("/v1/chat/completions", json=body)).raise_for_status().json()
            latencies.append(time.perf_counter() - began)
            assert answer["usage"]["completion_tokens"] == TOKENS, answer

    async with httpx.AsyncClient(base_url=url, timeout=600) as client:
        began = time.perf_counter()
        async with asyncio.TaskGroup() as callers:
            for _ in range(AT_ONCE):
                callers.create_task(ask())
        return time.perf_counter() - began, latencies


@contextlib.contextmanager
def ours(log: Path) -> Iterator[str]:
    """`preceptor serve starter`, in a Ray session of its own."""
    port, temporary = free_port(), tempfile.mkdtemp(prefix="ps-", dir="/tmp")  # sockets in it: their paths must be short
    settings = [word for s in SETTINGS for word in ("--set", s)]
    command = ["-m", "cluster.cli", "serve", "starter", "--keyless", "--port", str(port), *settings]
    environment = {"RAY_TMPDIR": temporary}
    try:
        with started(command, environment, log, f"http://127.0.0.1:{port}", "/ready") as url:
            yield url
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def bare(log: Path) -> Iterator[str]:
    """vLLM's server with the engine arguments of `serve`."""
    from pipelines.settings import with_settings
    from serve.config import ServeConfig
    from serve.model import engine_arguments
    from train.starter_vlm import starter_vlm

    config, port = with_settings(ServeConfig(), list(SETTINGS)), free_port()
    arguments = engine_arguments(str(starter_vlm()), NAME, (), config)
    command = ["-m", "vllm.entrypoints.launchers.api_server.entry", *arguments, "--host", "127.0.0.1", "--port", str(port)]
    environment = {"VLLM_NO_USAGE_STATS": "1", "VLLM_LOGGING_LEVEL": "WARNING", "VLLM_CPU_OMP_THREADS_BIND": "nobind",
                   "VLLM_CPU_KVCACHE_SPACE": str(config.engine.cpu_cache_gib),
                   "OMP_NUM_THREADS": str(int(config.engine.cpus))}  # fmt: skip
    with started(command, environment, log, f"http://127.0.0.1:{port}", "/health") as url:
        yield url


@contextlib.contextmanager
def started(command: list[str], environment: dict[str, str], log: Path, url: str, ready: str) -> Iterator[str]:
    """The server, once it is ready; it is ended with all of its processes."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT), **environment}
    with log.open("w") as said:
        process = subprocess.Popen([sys.executable, *command], cwd=ROOT, env=environment, text=True, stdout=said,
                                   stderr=said, start_new_session=True)  # fmt: skip
    try:
        while not _is_ready(f"{url}{ready}"):
            if process.poll() is not None:
                raise RuntimeError(f"the server ended:\n{log.read_text()[-3000:]}")
            time.sleep(0.5)
        yield url
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    finally:
        runs.end(process)


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.TransportError:
        return False
