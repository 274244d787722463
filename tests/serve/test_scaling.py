"""Ray Serve really starts a second model replica under load, and refuses what finds no room."""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from serve.config import ServeConfig
from tests.conftest import ROOT


class SlowModel:
    """Answers after a second, and says which process did."""

    def __init__(self, served: Any, config: ServeConfig) -> None:
        self._pid = os.getpid()

    async def chat(self, body: dict[str, Any]) -> AsyncGenerator[str, None]:
        await asyncio.sleep(1.0)
        yield json.dumps({"pid": self._pid})


DRIVER = """
from cluster.connect import cluster, set_environment
set_environment()  # before Ray is imported
import json, threading, time
import httpx, ray.serve
from serve.app import APP, application
from serve.config import HttpSettings, ScalingSettings, ServeConfig, EngineSettings, MediaSettings
from serve.model import Served
from tests.serve.conftest import free_port
from tests.serve.test_scaling import SlowModel
from tests.serve.gateways import question

port = free_port()
scaling = ScalingSettings(max_replicas=2, running=4, target=2, queued=8, upscale_delay_s=1, downscale_delay_s=600)
config = ServeConfig(http=HttpSettings(port=port, keyless=True), scaling=scaling, engine=EngineSettings(cpus=0.5))
with cluster(logical_cpus=6):
    ray.serve.start(http_options={"host": "127.0.0.1", "port": port})
    ray.serve.run(application(Served(source="none", name="tiny"), config, SlowModel), name=APP)
    pids, codes, until = set(), [], time.monotonic() + 90
    def ask():
        while time.monotonic() < until and len(pids) < 2:
            answer = httpx.post(f"http://127.0.0.1:{port}/v1/chat/completions", json=question(), timeout=60)
            codes.append(answer.status_code)
            if answer.status_code == 200:
                pids.add(answer.json()["pid"])
            else:
                time.sleep(0.2)
    threads = [threading.Thread(target=ask) for _ in range(10)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    print("RESULT", json.dumps({"replicas": len(pids), "codes": sorted(set(codes))}))
"""


@pytest.mark.long
@pytest.mark.cluster
def test_load_starts_a_second_replica() -> None:
    with tempfile.TemporaryDirectory(prefix="ps-", dir="/tmp", ignore_cleanup_errors=True) as temporary:
        environment = dict(os.environ, RAY_TMPDIR=temporary, PYTHONPATH=str(ROOT))
        environment.pop("RAY_ADDRESS", None)
        run = subprocess.run([sys.executable, "-c", DRIVER], cwd=ROOT, env=environment, capture_output=True, text=True,
                             timeout=400)  # fmt: skip
    assert run.returncode == 0, run.stderr[-3000:]
    result = json.loads(run.stdout.partition("RESULT ")[2])
    assert result["replicas"] == 2
    assert set(result["codes"]) <= {200, 429}
