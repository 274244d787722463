"""What decides the turns of `instruct`, and who may write them."""

import contextlib
import io
from pathlib import Path
from types import ModuleType

import pytest
from rich.console import Console

from actors import text_engine
from pipelines import instruct, vocabulary
from pipelines.errors import UsageError
from pipelines.instruct_config import from_curation
from pipelines.progress import Progress
from pipelines.recipes import starter
from pipelines.settings import all_settings, with_settings
from pipelines.stages import prompts, templates
from pipelines.store import Store
from tests.pipelines import datasets
from tests.pipelines.test_curate import differing, reword

CONFIG = from_curation(starter())


@pytest.fixture(autouse=True)
def weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights are known by the settings that they are asked for with."""
    monkeypatch.setattr(text_engine, "weights_hash", lambda settings: type(settings).__name__)


def test_what_decides_the_turns_is_everything_but_where_it_runs() -> None:
    found, every = instruct.settings_of(CONFIG), all_settings(CONFIG)
    missing = {key for key in every.keys() - found.keys() if not key.startswith("resources.")}
    assert missing == {"recipe", "text.base_url"}
    assert found.keys() - every.keys() == {"code.instruct", "code.templates", "prompts", "weights.text", "vocabulary"}
    assert all(found[key] == every[key] for key in found.keys() & every.keys())
    assert found["weights.text"] == "TextSettings"


@pytest.mark.parametrize("change", ["seed=7", "families=modality", "gate.turns=2", "text.min_support=0.5"])
def test_a_setting_decides_the_turns(change: str) -> None:
    changed = instruct.settings_of(with_settings(CONFIG, [change]))
    assert differing(instruct.settings_of(CONFIG), changed) == {change.split("=")[0]}


@pytest.mark.parametrize(
    ("module", "name", "value", "key"),
    [
        (instruct, "CODE_VERSION", instruct.CODE_VERSION + 1, "code.instruct"),
        (templates, "VERSION", templates.VERSION + 1, "code.templates"),
        (prompts, "content_hash", lambda *_: "another", "prompts"),
        (text_engine, "weights_hash", lambda _: "another", "weights.text"),
        (vocabulary, "fingerprint", lambda _: "another", "vocabulary"),
    ],
)
def test_other_code_weights_prompts_or_words_decide_other_turns(
    monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str, value: object, key: str
) -> None:
    before = instruct.settings_of(CONFIG)
    monkeypatch.setattr(module, name, value)
    assert differing(before, instruct.settings_of(CONFIG)) == {key}


@pytest.mark.parametrize("name", [*prompts.INSTRUCTIONS, *prompts.TEXT_TASKS, *prompts.DECISIONS])
def test_the_words_of_every_prompt_of_its_own_decide_the_turns(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    before = instruct.settings_of(CONFIG)
    reword(monkeypatch, name)
    used = name in prompts.INSTRUCTIONS
    assert differing(before, instruct.settings_of(CONFIG)) == ({"prompts"} if used else set())


def test_terms_added_to_a_vocabulary_of_ones_own_decide_other_turns(tmp_path: Path) -> None:
    (tmp_path / "terms.txt").write_text("haemangioma\n")
    config = with_settings(CONFIG, [f"text.vocabulary={tmp_path / 'terms.txt'}"])
    before = instruct.settings_of(config)
    (tmp_path / "terms.txt").write_text("haemangioma\nhydatid cyst\n")
    assert differing(before, instruct.settings_of(config)) == {"vocabulary"}


def test_two_runs_do_not_write_into_one_dataset(tmp_path: Path) -> None:
    def never(_: object) -> contextlib.AbstractContextManager[None]:
        raise AssertionError("another run is writing here")

    videos, pictures = datasets.sample()
    out = datasets.build(tmp_path / "out", [videos], pictures)
    with Store(out).locked(), pytest.raises(UsageError, match="Another run"):
        instruct.run(out, CONFIG, connect=never, progress=Progress(Console(file=io.StringIO())))
    assert not (tmp_path / "out" / "instruct").exists()
