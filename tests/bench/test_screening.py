from pathlib import Path

import pytest

from pipelines import recipes
from pipelines.schema import Domain, Reason
from tests.bench import screening
from tests.bench.screening import RATIOS, Case, Decision, cases, measure, shown, true_value
from tests.lectures import render

CONFIG = recipes.starter()


RULES = (Reason.TOO_SHORT, Reason.TOO_LONG, Reason.NO_SPEECH, Reason.NOT_MEDICAL, Reason.NOT_NARRATIVE)


@pytest.fixture(scope="module")
def made() -> list[Case]:
    return list(cases(CONFIG, variants=3))


def test_every_rule_has_films_on_either_side(made: list[Case]) -> None:
    assert {c.reason for c in made} == set(RULES)
    assert {c.domain.is_static for c in made if c.reason is Reason.NOT_NARRATIVE} == {True, False}
    assert all({c.ratio for c in made if c.reason is reason} == set(RATIOS) for reason in {c.reason for c in made})
    assert len({c.name for c in made}) == len(made)


@pytest.mark.parametrize("ratio", [0.5, 2.0])
@pytest.mark.parametrize("rule", RULES)
def test_films_are_as_far_from_the_limit_as_they_say(made: list[Case], rule: Reason, ratio: float) -> None:
    for case in [c for c in made if (c.reason, c.ratio) == (rule, ratio)]:
        placed = list(render.unroll(render.plan(case.lecture, screening.FPS), case.duration_s))
        truth = {
            "duration_s": placed[-1].end_s,
            "scenes": [{"start_s": p.start_s, "end_s": p.end_s, "picture": p.scene.picture} for p in placed],
            "sentences": [{"start_s": s.start_s, "end_s": s.end_s} for p in placed for s in p.spoken],
        }
        assert true_value(case, truth, CONFIG) == pytest.approx(case.limit * ratio, rel=0.2), case.name


@pytest.mark.parametrize(("ratio", "expected"), [(0.8, "too_short"), (1.1, "accepted")])
def test_a_film_is_rendered_screened_and_judged(tmp_path: Path, ratio: float, expected: str) -> None:
    (case,) = [c for c in cases(CONFIG, variants=1) if c.reason is Reason.TOO_SHORT and c.ratio == ratio]
    found = measure(case, tmp_path)
    assert (found.expected, found.decided) == (expected, expected)
    assert found.measured == pytest.approx(found.true_value, abs=0.25)
    assert not list(tmp_path.glob("*.mp4"))


def test_a_wrong_decision_is_counted_as_one() -> None:
    right = Decision(reason="no_speech", domain=Domain.MRI, limit=0.05, ratio=0.5, true_value=0.025, measured=0.02,
                     expected="no_speech", decided="no_speech")  # fmt: skip
    wrong = Decision(reason="no_speech", domain=Domain.MRI, limit=0.05, ratio=0.5, true_value=0.025, measured=0.06,
                     expected="no_speech", decided="accepted")  # fmt: skip
    (cells,) = zip(*(column.cells for column in shown([right, wrong]).columns), strict=True)
    assert cells[:3] == ("no_speech: mri", "0.05", "1/2")
    assert cells[-2:] == ("1/2", "0.02 (2 films)")
