import multiprocessing
import time

import pytest

from actors import starter_models
from pipelines.errors import EnvironmentFault


def _slow_convert(gguf, folder):
    time.sleep(0.3)
    (folder / "model.safetensors").write_text(str(time.time_ns()))


def _call(cache, queue):
    import os

    os.environ["PRECEPTOR_CACHE"] = str(cache)
    starter_models._convert = _slow_convert
    folder = starter_models.starter_text_model()
    queue.put((str(folder), (folder / "model.safetensors").read_text()))


def test_concurrent_processes_convert_once(tmp_path):
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    children = [context.Process(target=_call, args=(tmp_path, queue)) for _ in range(3)]
    for child in children:
        child.start()
    results = {queue.get(timeout=30) for _ in children}
    for child in children:
        child.join()
    assert len(results) == 1
    assert not list(tmp_path.glob(".converting-*"))


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
