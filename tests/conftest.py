"""What the whole session shares: the rendered lectures, and one text engine behind an HTTP address."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None)
hypothesis.settings.load_profile("repeatable")

ROOT = Path(__file__).resolve().parents[1]
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("RAY_worker_niceness", "0")  # Ray's 15 lets the tests beside a cluster starve its actors for minutes


@dataclass(frozen=True)
class TextServer:
    base_url: str
    model: str
    key: str

    def settings(self) -> list[str]:
        """Settings that send a run's text tasks here."""
        pairs = {"text.engine": "openai", "text.base_url": self.base_url, "text.model": self.model}
        return [word for key, value in pairs.items() for word in ("--set", f"{key}={value}")]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What starts a cluster comes first: with two processes neither has much left when the other is done."""
    items.sort(key=lambda item: item.get_closest_marker("cluster") is None)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling:
    """With several processes a file's tests stay together, and so do all that use the demo's dataset."""

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return "demo" if file in ("tests/test_demo.py", "tests/test_faults.py") else file

    return Scheduling(config, log)


@pytest.fixture(autouse=True)
def own_environment() -> Iterator[None]:
    """A command that is called in this process sets what Ray reads at import: the next test's Ray has been imported."""
    before = {k: v for k, v in os.environ.items() if k.startswith("RAY_")}
    yield
    for name in [k for k in os.environ if k.startswith("RAY_")]:
        del os.environ[name]
    os.environ.update(before)


@pytest.fixture(scope="session")
def demo_videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's lectures, rendered once."""
    from tests.lectures.demo import render_demo

    folder = Path(os.environ.get("PRECEPTOR_TEST_VIDEOS") or tmp_path_factory.mktemp("lectures"))
    render_demo(folder)
    return folder


@pytest.fixture(scope="session")
def demo_dataset(demo_videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the README's first command makes of the demo's lectures, made once: tests that add to it take a copy."""
    from tests import runs
    from tests.lectures.demo import EXPECTED

    out = tmp_path_factory.mktemp("demo") / "dataset"
    said = runs.run(["curate", str(demo_videos), "--out", str(out)])
    assert all(name in said for name in EXPECTED)
    assert "report.html" in said
    return out


@pytest.fixture(scope="session")
def text_server() -> Iterator[TextServer]:
    """SmolLM2 served by vLLM's own server, as a user would, so that many runs need one start-up."""
    from actors.starter_models import starter_text_model

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    key = secrets.token_hex(16)
    command = [
        sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(starter_text_model()),
        "--served-model-name", "smollm2", "--host", "127.0.0.1", "--port", str(port), "--dtype", "float32",
        "--max-model-len", "2048", "--enforce-eager", "--no-enable-prefix-caching", "--disable-log-stats",
    ]  # fmt: skip
    environment = dict(os.environ, VLLM_CPU_KVCACHE_SPACE="1", VLLM_CPU_OMP_THREADS_BIND="nobind", VLLM_API_KEY=key,
                       VLLM_NO_USAGE_STATS="1", OMP_NUM_THREADS="2")  # fmt: skip
    server = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              start_new_session=True)  # fmt: skip
    try:
        deadline = time.monotonic() + 240
        while True:
            assert server.poll() is None, "the text server ended while starting"
            assert time.monotonic() < deadline, "the text server did not start within 240 s"
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2).close()
                break
            except OSError:
                time.sleep(0.5)
        yield TextServer(base_url=f"http://127.0.0.1:{port}/v1", model="smollm2", key=key)
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
