"""One server for all end-to-end tests: `preceptor serve` as a user starts it, with a tiny Qwen2-VL on the CPU."""

import base64
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from serve import keys
from tests import runs
from tests.conftest import ROOT
from tests.media import write_video
from tests.serve import tiny_vlm
from tests.serve.test_addresses import certificate


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Server:
    """The running server, and what a client needs."""

    process: subprocess.Popen[str]
    url: str
    key: str
    certificate: Path
    keys: Path
    session: Path
    said: list[str]
    film: bytes
    film_url: str

    def http(self, **options: Any) -> httpx.Client:
        trust = ssl.create_default_context(cafile=str(self.certificate))
        return httpx.Client(base_url=self.url, verify=trust, timeout=120, **options)

    def client(self, key: str | None = None) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=key or self.key, max_retries=0, http_client=self.http())

    def film_uri(self) -> str:
        return "data:video/mp4;base64," + base64.b64encode(self.film).decode()


def start(arguments: list[str], temporary: Path) -> tuple[subprocess.Popen[str], list[str]]:
    """`preceptor serve ARGUMENTS` in its own process group and Ray session, and what it says."""
    environment = dict(os.environ, RAY_TMPDIR=str(temporary), PYTHONPATH=str(ROOT), HF_HUB_OFFLINE="1")
    environment.pop("RAY_ADDRESS", None)
    command = [sys.executable, "-m", "cluster.cli", "serve", *arguments]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)  # fmt: skip
    said: list[str] = []

    def listen() -> None:
        assert process.stdout is not None
        said.extend(iter(process.stdout.readline, ""))

    threading.Thread(target=listen, daemon=True).start()
    return process, said


def wait_for(said: list[str], process: subprocess.Popen[str], word: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not any(word in line for line in said):
        assert process.poll() is None, "".join(said)
        assert time.monotonic() < deadline, "".join(said)
        time.sleep(0.2)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_vlm.build(tmp_path_factory.mktemp("tiny") / "tiny-vlm")


@pytest.fixture(scope="session")
def tiny_adapter(tiny_model: Path) -> Path:
    return tiny_vlm.adapter(tiny_model, tiny_model.parent / "adapter")


@pytest.fixture(scope="module")
def server(tiny_model: Path, tiny_adapter: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    cert, cert_key = certificate(folder)
    (folder / "media").mkdir()
    film = write_video(folder / "media" / "film.mp4", seconds=4, audio=False).read_bytes()
    media = ThreadingHTTPServer(("127.0.0.1", 0), lambda *a: SimpleHTTPRequestHandler(*a, directory=str(folder / "media")))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, cert_key)
    media.socket = context.wrap_socket(media.socket, server_side=True)
    threading.Thread(target=media.serve_forever, daemon=True).start()
    key, port = keys.add(folder / "keys.json", "test"), free_port()
    settings = [
        "engine.max_model_len=1024", "scaling.running=4", "scaling.target=2", "scaling.queued=2",
        "media.image_pixels=1000000", "limits.burst=10000", "limits.requests_per_minute=100000",
        f"http.keys_file={folder / 'keys.json'}",
        f"http.tls_cert_file={cert}", f"http.tls_key_file={cert_key}", "media.allowed_hosts=localhost",
        "media.private_networks=127.0.0.0/8", f"media.ca_file={cert}", "media.decoders=1", "limits.request_bytes=2000000",
    ]  # fmt: skip
    words = [word for setting in settings for word in ("--set", setting)]
    temporary = Path(tempfile.mkdtemp(prefix="ps-", dir="/tmp"))  # sockets in it: their paths must be short
    process, said = start([str(tiny_model), "--adapters", f"tuned={tiny_adapter}", "--port", str(port), *words], temporary)
    try:
        wait_for(said, process, "ready:", 400)
        assert re.search(rf"ready: https://127\.0\.0\.1:{port}/v1 serves tiny-vlm, tuned", "".join(said))
        yield Server(process=process, url=f"https://127.0.0.1:{port}", key=key, certificate=cert, keys=folder / "keys.json",
                     session=temporary, said=said, film=film,
                     film_url=f"https://localhost:{media.server_address[1]}/film.mp4")  # fmt: skip
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                runs.end(process)
        media.shutdown()
        shutil.rmtree(temporary, ignore_errors=True)
