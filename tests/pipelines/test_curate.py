"""What `curate` settles before anything is computed: what decides the rows, who may write, and what is committed."""

import contextlib
import dataclasses
import io
import json
from pathlib import Path
from types import ModuleType

import pytest
from rich.console import Console

from actors import cursor_net, frame_classifier, text_engine, transcriber
from pipelines import curate, vocabulary
from pipelines.config import Config
from pipelines.errors import UsageError
from pipelines.progress import Progress
from pipelines.recipes import starter
from pipelines.schema import Reason
from pipelines.settings import all_settings, with_settings
from pipelines.stages import prompts
from pipelines.store import Store
from tests.pipelines import datasets

CODE = {f"code.{stage}" for stage in ("screen", "classify", "look", "listen", "write")}


@pytest.fixture(autouse=True)
def weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights are known by the settings that they are asked for with."""
    for module in (frame_classifier, transcriber, text_engine):
        monkeypatch.setattr(module, "weights_hash", lambda settings: type(settings).__name__)


def differing(one: dict[str, str], other: dict[str, str]) -> set[str]:
    return {key for key in one.keys() | other.keys() if one.get(key) != other.get(key)}


def reword(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """One prompt says something else."""
    real = prompts.load

    def load(wanted: str) -> prompts.Prompt:
        return dataclasses.replace(real(wanted), user=f"{real(wanted).user} Please.") if wanted == name else real(wanted)

    monkeypatch.setattr(prompts, "load", load)


class Begun(Exception):
    """There is something to compute."""


def begins(_: object) -> contextlib.AbstractContextManager[None]:
    raise Begun


def run(source: Path | None, out: Path, config: Config, *, screen_only: bool = False) -> None:
    progress = Progress(Console(file=io.StringIO()))
    curate.run(str(source) if source else None, str(out), config, connect=begins, progress=progress, screen_only=screen_only)


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "talk.mp4").write_bytes(b"a film")
    return tmp_path / "videos"


def test_what_decides_the_rows_is_everything_but_where_it_runs() -> None:
    found, every = curate.settings_of(starter()), all_settings(starter())
    missing = {key for key in every.keys() - found.keys() if not key.startswith("resources.")}
    assert missing == {"recipe", "text.base_url"}
    others = {"weights.classifier", "weights.cursor_net", "weights.transcriber", "weights.text", "prompts", "vocabulary"}
    assert found.keys() - every.keys() == CODE | others
    assert all(found[key] == every[key] for key in found.keys() & every.keys())
    assert {found[f"weights.{of}"] for of in ("classifier", "transcriber", "text")} == {
        "ClassifierSettings", "TranscriptSettings", "TextSettings"
    }  # fmt: skip


def test_a_screening_is_decided_by_less_and_named() -> None:
    found, curated = curate.settings_of(starter(), screen_only=True), curate.settings_of(starter())
    assert found.keys() - all_settings(starter()).keys() == CODE | {"weights.classifier", "pass"}
    assert found["pass"] == "screen"
    others = {"weights.cursor_net", "weights.transcriber", "weights.text", "prompts", "vocabulary"}
    assert differing(found, curated) == {"pass"} | others


@pytest.mark.parametrize(
    ("module", "name", "key"),
    [
        (frame_classifier, "weights_hash", "weights.classifier"),
        (cursor_net, "weights_hash", "weights.cursor_net"),
        (transcriber, "weights_hash", "weights.transcriber"),
        (text_engine, "weights_hash", "weights.text"),
        (prompts, "fingerprint", "prompts"),
        (vocabulary, "fingerprint", "vocabulary"),
    ],
)
def test_other_weights_prompts_or_words_decide_other_rows(
    monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str, key: str
) -> None:
    both = [curate.settings_of(starter(), screen_only=screen_only) for screen_only in (False, True)]
    monkeypatch.setattr(module, name, lambda *_: "another")
    curated, screened = (curate.settings_of(starter(), screen_only=screen_only) for screen_only in (False, True))
    assert differing(both[0], curated) == {key}
    assert differing(both[1], screened) == {key} & {"weights.classifier"}


@pytest.mark.parametrize("stage", list(curate.CODE_VERSIONS))
def test_other_code_of_a_stage_decides_other_rows(monkeypatch: pytest.MonkeyPatch, stage: str) -> None:
    before = curate.settings_of(starter())
    monkeypatch.setitem(curate.CODE_VERSIONS, stage, curate.CODE_VERSIONS[stage] + 1)
    assert differing(before, curate.settings_of(starter())) == {f"code.{stage}"}


@pytest.mark.parametrize("name", [*prompts.TEXT_TASKS, *prompts.DECISIONS, *prompts.INSTRUCTIONS])
def test_the_words_of_every_prompt_that_curate_uses_decide_its_rows(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    before = curate.settings_of(starter())
    reword(monkeypatch, name)
    used = name not in prompts.INSTRUCTIONS
    assert differing(before, curate.settings_of(starter())) == ({"prompts"} if used else set())


def test_terms_added_to_a_vocabulary_of_ones_own_decide_other_rows(tmp_path: Path) -> None:
    (tmp_path / "terms.txt").write_text("haemangioma\n")
    config = with_settings(starter(), [f"text.vocabulary={tmp_path / 'terms.txt'}"])
    before = curate.settings_of(config)
    assert differing(curate.settings_of(starter()), before) == {"text.vocabulary", "vocabulary"}
    (tmp_path / "terms.txt").write_text("haemangioma\nhydatid cyst\n")
    assert differing(before, curate.settings_of(config)) == {"vocabulary"}


def test_a_screening_is_not_continued_as_a_curation(videos: Path, tmp_path: Path) -> None:
    with pytest.raises(Begun):
        run(videos, tmp_path / "out", starter(), screen_only=True)
    assert json.loads((tmp_path / "out" / "config.json").read_text())["settings"]["pass"] == "screen"
    with pytest.raises(UsageError, match="pass: screen there, None here"):
        run(videos, tmp_path / "out", starter())
    with pytest.raises(Begun):
        run(None, tmp_path / "out", starter(), screen_only=True)


def test_two_runs_do_not_write_into_one_dataset(videos: Path, tmp_path: Path) -> None:
    with Store(str(tmp_path / "out")).locked(), pytest.raises(UsageError, match="Another run"):
        run(videos, tmp_path / "out", starter())
    with pytest.raises(Begun):
        run(videos, tmp_path / "out", starter())


def test_a_row_counts_as_committed_once_its_commit_is_complete(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    assert curate.committed_ids(store) == set()
    folder = tmp_path / "checkpoint" / datasets.FINGERPRINT
    datasets.write_rows(folder, "0-whole", [datasets.ok("liver", []), datasets.ended("silent", Reason.NO_SPEECH, "screen")])
    datasets.write_rows(folder, "1-half.pending", [datasets.ok("lung", [])])
    assert curate.committed_ids(store) == {"liver#1", "silent#1"}
