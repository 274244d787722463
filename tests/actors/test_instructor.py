"""One video to its committed turns: who is asked, what is checked, what is written."""

import dataclasses
import json

import pytest

from actors import vllm_engine
from actors.admission import WRITING, examine, known_admission, probe_items
from actors.instructor import Instructor, admission_folder, by_words, usable, whole
from actors.text_engine import Key, OpenAiEngine, engine_name
from pipelines.config import TextSettings
from pipelines.instruct_config import GENERATED, TEMPLATES, InstructConfig
from pipelines.instruct_schema import Drop
from pipelines.instruct_summary import said_of_model, tally
from pipelines.instructed import Instructed
from pipelines.job import Job
from pipelines.schema import Choice
from pipelines.stages.drafts import Draft
from pipelines.stages.templates import Balance
from tests.actors.tutor import TEXT, tutor
from tests.pipelines import datasets
from tests.serve.evaluation.chat import serving

BALANCES = {"modality": Balance(shares={"CT": 1.0, "MRI": 1.0}), "place": Balance(shares={"upper right": 1.0})}


def video():
    picture = datasets.picture("v", 0)
    clip = dataclasses.replace(datasets.clip("v", 0.0, picture, TEXT), corrected_text=TEXT,
                               modality=Choice(value="CT", decided_by="rules"))  # fmt: skip
    irrelevant = dataclasses.replace(
        datasets.clip("v", 20.0, picture, TEXT), relevant=Choice(value="irrelevant", decided_by="rules")
    )
    return datasets.ok("v", [picture], [clip, irrelevant, datasets.clip("v", 40.0, None, TEXT)])


def instruct(out, answer, families=(*TEMPLATES, *GENERATED)):
    """What the folder holds after the video, and the configuration."""
    with serving(answer) as server:
        text = TextSettings(engine="openai", model="tutor", base_url=server.url)
        config = InstructConfig(recipe="x", families=families, text=text)
        done = Instructor(config, str(out), BALANCES, 1, Key(""))(Job(video=video()))
    assert done.video.clips == ()
    return config


def families(out):
    return {t.family for t in Instructed(str(out)).of("v")}


WRITTEN = {"qa_open", "qa_choice", "description", "conversation", "detail", "reasoning", "iterative"}


def test_an_admitted_model_writes_all_families(tmp_path):
    config = instruct(tmp_path, tutor())
    assert families(tmp_path) >= WRITTEN | {"modality_open", "modality_choice"}
    turns = Instructed(str(tmp_path)).of("v")
    assert {t.clip_id for t in turns} == {video().clips[0].clip_id}
    assert {(t.source, t.model) for t in turns} == {("model", "tutor"), ("template", None)}
    admission = known_admission(engine_name(config.text), admission_folder(str(tmp_path)), WRITING)
    assert admission.accuracy == {"understanding": 1.0, "knowledge": 1.0, "quality": 1.0}
    assert "not admitted" not in said_of_model(config, admission)
    assert sum(line.kept for line in tally(str(tmp_path)).values()) == len(turns)


@pytest.mark.parametrize(
    ("wrong", "missing"),
    [(("understanding",), WRITTEN), (("quality",), {"description"}), (("understanding", "knowledge", "quality"), WRITTEN)],
)
def test_what_a_model_is_not_admitted_for_it_does_not_write(tmp_path, wrong, missing):
    config = instruct(tmp_path, tutor(wrong))
    assert families(tmp_path) & WRITTEN == WRITTEN - missing
    said = said_of_model(config, known_admission("tutor", admission_folder(str(tmp_path)), WRITING))
    assert ("only templates were written" in said) is (missing == WRITTEN)
    assert "not admitted to write" in said


def test_only_a_model_that_is_admitted_for_it_finds_what_needs_no_looking(tmp_path):
    knows = {"guess": "in the right lobe of the liver", "knowledge": "A"}
    instruct(tmp_path / "asked", tutor(**knows), ("qa",))
    reasons = tally(str(tmp_path / "asked"))["qa_open", "model"].dropped
    assert reasons == {Drop.WITHOUT_LOOKING: 1}
    instruct(tmp_path / "not", tutor(("knowledge",), **knows), ("qa",))
    assert tally(str(tmp_path / "not"))["qa_open", "model"].dropped == {}


def test_the_starter_model_is_known_to_have_failed_and_is_not_loaded(tmp_path, monkeypatch):
    monkeypatch.setattr(vllm_engine, "VllmEngine", None)
    config = InstructConfig(recipe="starter")
    Instructor(config, str(tmp_path), BALANCES, 1, Key(""))(Job(video=video()))
    assert families(tmp_path)
    assert not families(tmp_path) & WRITTEN
    said = said_of_model(config, known_admission(engine_name(config.text), admission_folder(str(tmp_path)), WRITING))
    assert "only templates were written" in said


def test_leaks_by_words_and_what_depends_on_the_dropped():
    def draft(number, question, answer, family="description"):
        return Draft(clip_id="c", family=family, number=number, question=question, answer=answer, source="model", prompt="p")

    said_before = by_words([draft(0, "Describe.", "A haemangioma of the liver."), draft(1, "Diagnosis?", "A haemangioma.")])
    assert [d.reason for d in said_before] == [None, Drop.SAID_BEFORE]
    assert [d.reason for d in whole(said_before)] == [None, Drop.SAID_BEFORE]
    in_question = by_words([draft(0, "A lesion?", "A lesion.", "iterative"), draft(1, "So?", "A cyst.", "iterative")])
    assert [d.reason for d in whole(in_question)] == [Drop.ANSWER_IN_QUESTION, Drop.INCOMPLETE]


def test_clips_without_picture_or_relevance_are_not_asked_about():
    assert [c.clip_id for c in usable(video().clips)] == [video().clips[0].clip_id]


def test_the_writing_probe_is_balanced_and_a_letter_or_a_number_always_said_fails_it():
    items = probe_items(WRITING)
    for task in ("understanding", "knowledge"):
        labels = [i.label for i in items if i.task == task]
        assert {labels.count(x) for x in "ABCD"} == {3}
    assert [i.label for i in items if i.task == "quality"].count("good") == 6

    def always(request):
        field = request["response_format"]["json_schema"]["name"]
        return json.dumps({field: "5" if field == "quality" else "A"})

    with serving(always) as server:
        engine = OpenAiEngine(TextSettings(engine="openai", model="a", base_url=server.url), max_retries=0)
        assert examine(engine, items, WRITING).accuracy == {"understanding": 0.25, "knowledge": 0.25, "quality": 0.5}
