import pytest
import torch

from pipelines.errors import UsageError
from train.attention import FLASH
from train.config import RunSettings
from train.model import from_anywhere, means


def test_a_folder_is_given_to_the_workers_under_its_whole_path(tmp_path, monkeypatch):
    (tmp_path / "FOLDER").mkdir()
    (tmp_path / "starter").mkdir()  # a folder of that name is not what is meant
    monkeypatch.chdir(tmp_path)
    assert from_anywhere("FOLDER") == str(tmp_path / "FOLDER")
    assert [from_anywhere(m) for m in ("starter", "Qwen/Qwen2-VL-2B-Instruct", "s3://bucket/model")] == [
        "starter", "Qwen/Qwen2-VL-2B-Instruct", "s3://bucket/model",
    ]  # fmt: skip


def test_a_gpu_of_the_machine_is_not_the_workers(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda *_: (9, 0))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda *_: "NVIDIA H100 80GB HBM3")
    found = means(RunSettings(), torch.device("cpu"))
    assert (found.device, found.precision, found.attention) == ("CPU", "float32", "sdpa")
    assert not found.gpu
    assert not found.liger
    with pytest.raises(UsageError, match="flash"):
        means(RunSettings(attention="flash"), torch.device("cpu"))
    found = means(RunSettings(), torch.device("cuda:0"))
    assert (found.device, found.precision, found.attention) == ("NVIDIA H100 80GB HBM3", "bf16", FLASH)
