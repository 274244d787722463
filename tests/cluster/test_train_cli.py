"""`preceptor train`: which of the two trainings of a frame classifier is meant, and what it takes."""

import pytest
from typer.testing import CliRunner

from cluster.cli import app
from cluster.train_cli import frame_training
from pipelines.errors import UsageError
from train.run import Stopped


def invoke(*words):
    return CliRunner().invoke(app, ["train", *words])


def test_settings_of_a_frame_classifier_are_listed():
    said = invoke("settings", "--recipe", "vit", "--set", "data.balance=loss").stdout.splitlines()
    assert "data.balance=loss" in said
    assert "optimizer.kind=sgd" in said


def test_none_is_a_value_where_it_is_one():
    assert "data.balance=none" in invoke("settings", "--recipe", "vit", "--set", "data.balance=none").stdout.splitlines()


def test_settings_need_a_whole_model(tmp_path):
    result = invoke("frames", "--data", str(tmp_path), "--out", str(tmp_path / "head.npz"), "--set", "pace.epochs=1")
    assert isinstance(result.exception, UsageError)
    assert "--model or --recipe" in str(result.exception)


def test_a_head_is_a_file_on_this_machine(tmp_path):
    result = invoke("frames", "--data", str(tmp_path), "--out", "s3://bucket/head.npz")
    assert isinstance(result.exception, UsageError)
    assert "on this machine" in str(result.exception)


def test_a_model_and_settings_change_the_recipe():
    config = frame_training("siglip", ["pace.epochs=2", "seed=7"], "FOLDER")
    assert (config.model, config.pace.epochs, config.seed, config.recipe) == ("FOLDER", 2, 7, "siglip")
    with pytest.raises(UsageError, match="preceptor train settings --recipe siglip"):
        frame_training("siglip", ["epochs=2"])
    with pytest.raises(UsageError, match="no recipe 'hub'"):
        frame_training("hub", [])


def test_labels_are_asked_for_at_an_address_without_a_key_in_it(tmp_path):
    result = invoke("label", str(tmp_path), "--out", str(tmp_path / "l.csv"), "--base-url", "http://user:key@host/v1",
                    "--model", "eye")  # fmt: skip
    assert isinstance(result.exception, UsageError)
    assert "PRECEPTOR_TEXT_API_KEY" in str(result.exception)


@pytest.mark.parametrize(
    ("words", "work"), [(("vlm",), "train.run.run"), (("frames", "--recipe", "vit"), "train.frame_tuning.run")]
)
def test_told_to_leave_a_training_ends_with_the_status_of_sigterm(monkeypatch, tmp_path, words, work):
    def stopped(*_, **__):
        raise Stopped("it kept a checkpoint; the same command goes on from there.")

    monkeypatch.setattr(work, stopped)
    result = invoke(*words, "--data", str(tmp_path), "--out", str(tmp_path / "out"))
    assert result.exit_code == 143
    assert result.stderr == "preceptor: it kept a checkpoint; the same command goes on from there.\n"
