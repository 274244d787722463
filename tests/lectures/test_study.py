"""The study's lectures are apart where they must be, and its verdict is that of the rows."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from pipelines import vocabulary
from pipelines.split import HELD_OUT_SHARE, is_held_out
from pipelines.stages.pointed import tells_course
from pipelines.stages.rules import medical_terms, relevance
from serve.evaluation.answer import Answer, Status
from serve.evaluation.results import Run
from tests.lectures import loop, pictures, study, varied


def shown(planned: study.Planned) -> list[str]:
    """The pictures of a lecture."""
    return [s.picture for s in planned.lecture.scenes if s.picture]


def sources(planned: study.Planned) -> set[str]:
    return {name.rsplit("/", 2)[0] for name in shown(planned)}


def test_what_is_asked_about_was_never_learned_from() -> None:
    lectures = list(study.planned(100))
    asked = set[str]().union(*(sources(p) for p in lectures if is_held_out(p.video_id, HELD_OUT_SHARE)))
    learned = set[str]().union(*(sources(p) for p in lectures if not is_held_out(p.video_id, HELD_OUT_SHARE)))
    assert 10 <= sum(is_held_out(p.video_id, HELD_OUT_SHARE) for p in lectures) <= 30
    assert not asked & learned
    for name in asked:
        kind, part = name.split("/")
        assert varied.sources(kind)[part]
    for name in learned:
        kind, part = name.split("/")
        assert not varied.sources(kind)[part]


def test_the_lecturer_says_enough_for_a_clip_to_be_learned_from() -> None:
    known = vocabulary.load()
    for planned in study.planned(100):
        for scene in planned.lecture.scenes:
            if scene.picture:
                assert relevance(" ".join(s.text for s in scene.sentences), planned.lecture.domain, known) == "relevant"


def test_one_sentence_of_each_picture_is_asked_about_and_it_differs() -> None:
    known = vocabulary.load()
    for planned in study.planned(100):
        asked = [[s.text for s in scene.sentences if medical_terms(s.text, known) and not tells_course(s.text)]
                 for scene in planned.lecture.scenes if scene.picture]  # fmt: skip
        assert [len(texts) for texts in asked] == [1, 1]
        assert asked[0] != asked[1]


def test_both_kinds_are_asked_about_as_often_and_learned_from_as_often() -> None:
    for held_out in (True, False):
        kinds = Counter(p.lecture.domain for p in study.planned(80) if is_held_out(p.video_id, HELD_OUT_SHARE) is held_out)
        assert len(kinds) == len(study.KINDS)
        assert max(kinds.values()) - min(kinds.values()) <= 1


@pytest.mark.parametrize(("finding", "strongest"), [("lesion", 0), ("abscess", 2)])
@pytest.mark.parametrize("source", ["mri/axial0", "ct/axial9"])
def test_the_finding_lies_where_the_truth_says(source: str, finding: str, strongest: int) -> None:
    name = f"{source}/{finding}/1"
    picture = pictures.picture(name)
    x0, y0, x1, y1 = (round(v) for v in picture.regions[finding])
    assert 0 <= x0 < x1 <= varied.EDGE_PX
    assert 0 <= y0 < y1 <= varied.EDGE_PX
    coloured = np.ptp(picture.pixels.astype(int), axis=-1) > 40
    assert coloured[(y0 + y1) // 2 - 5 : (y0 + y1) // 2 + 5, (x0 + x1) // 2 - 5 : (x0 + x1) // 2 + 5].all()
    assert (picture.pixels[coloured].argmax(-1) == strongest).all()
    coloured[max(0, y0 - varied.BLUR_PX) : y1 + varied.BLUR_PX, max(0, x0 - varied.BLUR_PX) : x1 + varied.BLUR_PX] = False
    assert not coloured.any()
    assert np.array_equal(picture.pixels, varied.picture(name).pixels)


def test_a_share_holds_out_the_wanted_number_in_any_folder() -> None:
    for place in range(20):
        ids = [f"{name}-{place}" for name in ("mri", "ct", "eye", "tissue", "cut")]
        share = loop.share_that_holds_out(ids, 2)
        assert sum(is_held_out(i, share) for i in ids) == 2
    with pytest.raises(ValueError, match="5 of 5"):
        loop.share_that_holds_out(ids, 5)


def run(name: str, right: float) -> Run:
    """Forty lectures with one question each, of which the share `right` is answered right."""
    model, condition = name.split("/")
    identity = {"model": model, "condition": condition, "benchmark": "b", "questions": "q", "open_score": "exact"}
    answers = tuple(answer(i, i < right * 40) for i in range(40))
    return Run(folder=Path(name), identity=identity | {"judge": "none"}, questions=40, answers=answers)


def answer(number: int, is_right: bool) -> Answer:
    return Answer(
        question_id=str(number),
        source_id=f"lecture {number}",
        group="modality_choice",
        kind="options",
        prompt="",
        options=("MRI", "CT"),
        expected=("MRI", "CT")[number % 2],
        media=(),
        labelled_by="",
        status=Status.OK,
        score=float(is_right),
        score_of=1.0,
    )


@pytest.mark.parametrize(("blind", "said"), [(0.5, "yes"), (0.9, "no")])
def test_the_tuned_model_must_beat_all_four(blind: float, said: str) -> None:
    rights = {"base/shown": 0.3, "tuned/shown": 0.9, "tuned/blind": blind, "tuned/shuffled": 0.5}
    table = study.verdict({name: run(name, rights[name]) for name in study.ASKED})
    cells = [c.strip() for c in table.splitlines()[-1].strip("|").split("|")]
    assert cells[:2] == ["modality_choice", "40 of 40 lectures"]
    assert cells[2].startswith("90.0%")
    assert cells[3].startswith("30.0%")
    assert cells[-2:] == ["50.0%", said]


@pytest.mark.parametrize(("blind", "said"), [(0.0, "yes"), (1.0, "no")])
def test_a_lead_that_is_the_same_in_every_lecture_counts_if_it_is_one(blind: float, said: str) -> None:
    rights = {"base/shown": 0.0, "tuned/shown": 1.0, "tuned/blind": blind, "tuned/shuffled": 0.5}
    table = study.verdict({name: run(name, rights[name]) for name in study.ASKED})
    cells = [c.strip() for c in table.splitlines()[-1].strip("|").split("|")]
    assert cells[3] == "0.0% (lead +100.0%, in every lecture)"
    assert cells[-1] == said
