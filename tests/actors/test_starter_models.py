import subprocess
import sys

import pytest

from actors import starter_models
from pipelines.errors import EnvironmentFault
from tests.conftest import ROOT

CONVERT_SLOWLY = """
import sys
import time
from pathlib import Path
from actors import starter_models

def convert(gguf, folder):
    time.sleep(0.3)
    (folder / "model.safetensors").write_text(str(time.time_ns()))

starter_models._convert = convert
started = Path(sys.argv[1])
(started / sys.argv[2]).touch()
while len(list(started.iterdir())) < 3:
    time.sleep(0.001)
folder = starter_models.starter_text_model()
print(folder, (folder / "model.safetensors").read_text())
"""


def test_concurrent_processes_convert_once(tmp_path, monkeypatch):
    cache, started = tmp_path / "cache", tmp_path / "started"
    started.mkdir()
    monkeypatch.setenv("PRECEPTOR_CACHE", str(cache))
    children = [subprocess.Popen([sys.executable, "-c", CONVERT_SLOWLY, str(started), str(i)], cwd=ROOT, text=True,
                                 stdout=subprocess.PIPE) for i in range(3)]  # fmt: skip
    try:
        said = [child.communicate(timeout=60)[0] for child in children]
    finally:
        for child in children:
            child.kill()
            child.communicate()
    assert [child.returncode for child in children] == [0] * 3
    assert len(set(said)) == 1
    assert said[0].startswith(str(cache))
    assert not list(cache.glob(".converting-*"))


def test_a_failed_conversion_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("PRECEPTOR_CACHE", str(tmp_path))

    def broken(gguf, folder):
        (folder / "half").write_text("x")
        raise OSError("disk full")

    monkeypatch.setattr(starter_models, "_convert", broken)
    with pytest.raises(OSError, match="disk full"):
        starter_models.starter_text_model()
    assert [p for p in tmp_path.iterdir() if p.is_dir()] == []


def test_a_missing_package_says_what_to_install(monkeypatch):
    monkeypatch.setattr(starter_models.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EnvironmentFault, match="pip install"):
        starter_models.starter_gguf()
