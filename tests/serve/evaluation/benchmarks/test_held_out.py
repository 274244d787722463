import dataclasses
from collections import Counter
from pathlib import Path

import pytest

from pipelines.errors import UsageError
from pipelines.export import export_hf
from pipelines.image_file import image_path
from pipelines.schema import Choice
from pipelines.split import is_held_out
from pipelines.stages.rules import ALIKE, MODALITIES, REGIONS
from serve.evaluation.answer import Fault
from serve.evaluation.benchmarks import catalog
from serve.evaluation.config import Settings
from serve.evaluation.question import Kind, Question
from tests.pipelines import datasets

EVERY = {"held_out_share": 1.0}


def load(data, **settings) -> list[Question]:
    return catalog.questions(*catalog.find(str(data), None), Settings(**settings))


def build(folder: Path, videos: int = 12) -> Path:
    """Videos of two clips each, with modality, region and their own medical text."""
    rows, pictures = [], []
    for v in range(videos):
        shown = [datasets.picture(f"v{v}", 2 * v + i, (160 + v, 120 + i)) for i in range(2)]
        clips = []
        for i, picture in enumerate(shown):
            clip = datasets.clip(f"v{v}", 20.0 * i, picture)
            text = dataclasses.replace(clip.medical_text, text=f"Finding number {v} of clip {i}.")
            clips.append(
                dataclasses.replace(
                    clip,
                    modality=Choice(value=MODALITIES[v % len(MODALITIES)], decided_by="frame classes"),
                    region=Choice(value=REGIONS[v % len(REGIONS)], decided_by="rules"),
                    medical_text=text,
                )
            )
        rows.append(datasets.ok(f"v{v}", shown, clips))
        pictures += shown
    datasets.build(folder, [rows], pictures)
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return build(tmp_path / "dataset")


def test_questions_are_about_held_out_videos_only(data):
    questions = load(data, held_out_share=0.5)
    assert {q.source_id for q in questions} == {f"v{i}" for i in range(12) if is_held_out(f"v{i}", 0.5)}


def test_only_the_wanted_groups_are_asked(data):
    every = load(data, **EVERY)
    assert load(data, **EVERY, groups=("region", "modality")) == [q for q in every if q.group in ("modality", "region")]
    with pytest.raises(UsageError, match="groups: there is no 'place'; there are description, modality, region"):
        load(data, **EVERY, groups=("modality", "place"))


def test_each_question_has_its_stored_picture_and_says_who_labelled_it(data):
    questions = load(data, **EVERY)
    assert Counter(q.group for q in questions)["description"] == 24
    for q in questions:
        number, clip = int(q.source_id[1:]), int(q.question_id.split(":")[1].split("-")[0]) // 20000
        assert q.media[0].read() == datasets.picture(q.source_id, 2 * number + clip, (160 + number, 120 + clip)).data
        assert q.labelled_by == {
            "modality": "frame classes", "region": "rules", "description": "model, smollm2",
        }[q.group]  # fmt: skip
        wanted = {
            "modality": MODALITIES[number % len(MODALITIES)],
            "region": REGIONS[number % len(REGIONS)],
            "description": f"Finding number {number} of clip {clip}.",
        }
        assert q.answer == wanted[q.group]


def test_four_options_one_right_none_alike_and_never_other(data):
    questions = load(data, **EVERY)
    places = Counter()
    for q in questions:
        assert q.kind is Kind.OPTIONS
        assert len(set(q.options)) == 4
        assert "Other" not in q.options
        assert all(len(family & set(q.options)) <= 1 for family in ALIKE)
        if q.group == "description":
            assert all(f"number {q.source_id[1:]} " not in o for o in q.options if o != q.answer)
        places[q.options.index(q.answer)] += 1
    assert min(places.values()) > len(questions) / 8  # no favourite place
    assert all(q.answer != "Other" for q in questions)


def test_the_same_seed_asks_the_same_and_another_another(data):
    assert load(data, **EVERY) == load(data, **EVERY)
    assert [q.options for q in load(data, **EVERY)] != [q.options for q in load(data, seed=1, **EVERY)]


def test_an_export_is_asked_as_its_dataset(data, tmp_path):
    export_hf(str(data), tmp_path / "export")
    told, exported = load(data, **EVERY), load(tmp_path / "export", **EVERY)
    assert [(q.question_id, q.options, q.answer, q.group) for q in exported] == [
        (q.question_id, q.options, q.answer, q.group) for q in told
    ]
    assert [q.media[0].media_id for q in exported] == [q.media[0].media_id for q in told]
    assert [q.media[0].read() for q in exported] == [q.media[0].read() for q in told]


def test_the_suites_own_sample_can_be_asked(tmp_path):
    videos, pictures = datasets.sample()
    questions = load(datasets.build(tmp_path / "out", [videos], pictures), **EVERY)
    assert {q.source_id for q in questions} == {"knee", "liver", "lung"}
    assert {q.group for q in questions} == {"modality", "region"}  # all descriptions are the same words


def test_a_missing_picture_is_a_fault_of_its_question(data):
    Path(image_path(str(data), "v3")).unlink()
    for q in load(data, **EVERY):
        if q.source_id == "v3":
            with pytest.raises(Fault, match="media_missing"):
                q.media[0].read()


def test_rows_of_instruct_are_asked_as_they_stand(data):
    held = [q for q in load(data, held_out_share=0.5) if q.group == "modality"]
    clip_id = held[0].question_id.removesuffix("/modality")
    elsewhere = next(f"v{i}:000000000-000020000" for i in range(12) if not is_held_out(f"v{i}", 0.5))
    rows = [
        datasets.turn(held[0].source_id, clip_id, 0, "Open?", "A cyst.", family="qa"),
        datasets.turn(held[0].source_id, clip_id, 1, "Which?", "b", ("a", "b"), family="qa"),
        datasets.turn(held[0].source_id, clip_id, 2, "Is it?", "Yes.", family="qa"),
        datasets.turn(elsewhere.split(":")[0], elsewhere, 0, "Trained on", "x", family="qa"),
    ]
    datasets.write_turns(data, rows)
    asked = [q for q in load(data, held_out_share=0.5) if q.group == "qa"]
    assert [(q.kind, q.answer, q.options) for q in asked] == [
        (Kind.OPEN, "A cyst.", ()), (Kind.OPTIONS, "b", ("a", "b")), (Kind.WORD, "yes", ("yes", "no")),
    ]  # fmt: skip
    assert asked[0].media == held[0].media
    assert {q.labelled_by for q in asked} == {"model, m"}


def test_nothing_to_ask_is_said(tmp_path, data):
    with pytest.raises(UsageError, match="none is held out at a share of 1e-09"):
        load(data, held_out_share=1e-9)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="neither a dataset"):
        load(tmp_path / "empty")
    with pytest.raises(UsageError, match="--data belongs"):
        catalog.find(str(data), tmp_path)
