"""Template questions: true of the row, answered by looking, and not to be won by habit."""

import dataclasses
from collections import Counter

import pytest

from pipelines.instruct_config import TEMPLATES
from pipelines.instruct_schema import Drop
from pipelines.schema import Choice
from pipelines.stages import templates
from pipelines.stages.templates import Balance, balance
from tests.pipelines import datasets

W, H = 160, 120
CORNERS = {"upper left": (10, 10, 50, 40), "upper right": (100, 10, 150, 40), "lower left": (10, 80, 50, 110),
           "lower right": (100, 80, 150, 110)}  # fmt: skip
SAID = {q: f"Here is lesion number {n}." for n, q in enumerate(CORNERS)}


def always(text):
    return "lesion" in text


def clip(number=0, corners=CORNERS, said=SAID, modality="CT", video="v", others=()):
    """A clip that points into the given corners of its picture, and with `others` into a second picture."""
    picture = datasets.picture(video, number)
    made = datasets.clip(video, 20.0 * number, picture)
    other = dataclasses.replace(datasets.shown_picture(picture, 0.0), image_id="another")
    boxes = [datasets.episode(float(n), box=box) for n, box in enumerate(corners.values())]
    links = [datasets.link(float(n), said[q], episode=n) for n, q in enumerate(corners)]
    for n, text in enumerate(others, len(links)):
        boxes.append(datasets.episode(float(n), picture=1, box=(1, 1, 9, 9)))
        links.append(datasets.link(float(n), text, episode=n, picture=1))
    return dataclasses.replace(made, pictures=(*made.pictures, other), episodes=tuple(boxes), links=tuple(links),
                               modality=Choice(value=modality, decided_by="rules"))  # fmt: skip


EVEN = {"modality": Balance(shares={"CT": 1.0, "MRI": 1.0}), "place": Balance(shares=dict.fromkeys(CORNERS, 1.0))}


def drafts(clips, families=TEMPLATES, balances=EVEN, seed=0):
    return templates.drafts(clips, families, balances, is_medical=always, seed=seed)


def test_each_family_open_and_with_options_says_what_the_row_knows():
    made = drafts([clip(others=("A lesion elsewhere.",))])
    by = {}
    for d in made:
        by.setdefault(d.family, []).append(d)
    assert set(by) == {f"{f}_{form}" for f in TEMPLATES for form in ("open", "choice")}
    assert all(d.source == "template" and d.model is None and d.reason is None for d in made)
    assert {d.picture_only for d in made if d.family.startswith("modality")} == {False}
    assert {d.picture_only for d in made if not d.family.startswith("modality")} == {True}
    assert [d.answer for d in by["modality_open"]] == ["CT"]
    for d in by["place_choice"] + by["place_open"]:
        (quarter,) = [q for q, text in SAID.items() if text in d.question]
        assert d.answer == quarter
    for d in by["pointed_choice"] + by["pointed_open"]:
        (quarter,) = [q for q in CORNERS if q in d.question]
        assert d.answer == SAID[quarter]
    assert by["finding_open"][0].answer == " ".join(SAID.values())
    assert by["finding_choice"][0].answer in SAID.values()
    assert set(by["finding_choice"][0].options) - set(SAID.values()) == {"A lesion elsewhere."}
    for d in made:
        assert bool(d.options) is d.family.endswith("choice")
        assert not d.options or d.answer in d.options
        assert len(set(d.options)) == len(d.options) <= 4


def test_of_each_other_picture_at_most_one_sentence_is_an_option():
    said = {number: f"Here is a lesion of picture {number}." for number in range(5)}
    clips = [clip(n, corners={"upper left": CORNERS["upper left"]}, said={"upper left": said[n]}) for n in said]
    two = clip(5, others=("A lesion elsewhere.", "Another lesion elsewhere."))
    for d in drafts([*clips, two], ["finding"]):
        if d.options:
            assert len(d.options) == 4
            assert len(set(d.options) & {"A lesion elsewhere.", "Another lesion elsewhere."}) <= 1
    (asked,) = [d for d in drafts([two], ["finding"]) if d.options]
    assert len(asked.options) == 2


def test_nothing_is_asked_of_what_is_not_known():
    bare = dataclasses.replace(clip(), image_id=None)
    assert drafts([bare]) == []
    assert drafts([clip(modality="Other")], ["modality"]) == []
    across = {"middle": (60, 40, 100, 80)}
    assert [d.family for d in drafts([clip(corners=across, said={"middle": "A lesion."})], ["place", "pointed"])] == []
    said_of_two = clip(corners={"upper left": CORNERS["upper left"]}, said={"upper left": "A lesion."})
    link = dataclasses.replace(said_of_two.links[0], picture=1)
    assert drafts([dataclasses.replace(said_of_two, links=(*said_of_two.links, link))], ["place", "finding"]) == []


def test_a_sentence_that_says_where_to_look_is_dropped_and_one_of_the_lectures_course_is_no_option():
    said = SAID | {"upper left": "In the upper corner there is a lesion.", "lower right": "The next picture has a lesion."}
    made = drafts([clip(said=said)])
    place = {d.answer: d.reason for d in made if d.family == "place_choice"}
    assert place == {q: Drop.PLACE_IN_QUESTION if q == "upper left" else None for q in CORNERS}
    (first, *rest) = [d for d in made if d.family == "pointed_choice"]
    assert set(first.options) == {SAID["upper right"], SAID["lower left"]}
    assert len(rest) == 1


def test_each_option_of_a_pointing_question_is_right_once():
    made = [d for d in drafts([clip()], ["pointed"]) if d.options]
    assert Counter(d.answer for d in made) == dict.fromkeys(SAID.values(), 1)
    assert {frozenset(d.options) for d in made} == {frozenset(SAID.values())}


def test_what_was_said_of_two_quarters_is_no_option_of_either():
    said = SAID | {"upper left": "Here is a lesion.", "lower right": "Here is a lesion."}
    made = [d for d in drafts([clip(said=said)], ["pointed"]) if d.options]
    assert {d.answer for d in made} == {SAID["upper right"], SAID["lower left"]}
    assert {frozenset(d.options) for d in made} == {frozenset(d.answer for d in made)}


def test_a_sentence_without_a_medical_term_is_no_option():
    made = drafts([clip(others=("Notice this line here.",))], ["finding"])
    assert [d.options for d in made] == [()]  # open only: there is nothing to choose among


@pytest.mark.parametrize(
    ("counts", "asked"),
    [
        ({}, {}),
        ({"CT": 9}, {}),
        ({"CT": 8, "MRI": 2}, {"CT": 0.25, "MRI": 1.0}),
        ({"CT": 40, "MRI": 36, "X-ray": 20, "Microscopy": 18}, {"CT": 0.45, "MRI": 0.5, "X-ray": 0.9, "Microscopy": 1.0}),
        ({"CT": 50, "MRI": 50, "X-ray": 1}, {"CT": 1.0, "MRI": 1.0}),
    ],
)  # fmt: skip
def test_answers_are_thinned_to_the_rarest_that_is_asked_for(counts, asked):
    assert balance(counts).shares == pytest.approx(asked)


def test_a_common_answer_cannot_be_guessed():
    clips = [clip(n, modality="CT" if n % 5 else "MRI") for n in range(300)]
    shares = balance(templates.census(clips, always)["modality"])
    kept = [d for d in drafts(clips, ["modality"], {"modality": shares}) if d.options and d.reason is None]
    answers = Counter(d.answer for d in kept)
    assert set(answers) == {"CT", "MRI"}
    assert 0.4 < answers["CT"] / answers.total() < 0.6
    assert {frozenset(d.options) for d in kept} == {frozenset({"CT", "MRI"})}
    dropped = [d for d in drafts(clips, ["modality"], {"modality": shares}) if d.reason]
    assert {d.reason for d in dropped} == {Drop.BALANCE}
    assert {d.answer for d in dropped} == {"CT"}


def test_modalities_that_one_picture_may_show_are_never_options_together():
    shares = balance({"Ultrasound": 9, "Echocardiography": 7, "CT": 8, "X-ray": 8, "Angiography": 8})
    assert set(shares.shares) == {"Ultrasound", "CT", "X-ray"}
    clips = [clip(n, modality=m) for n, m in enumerate(shares.shares) for _ in range(30)]
    asked = [d for d in drafts(clips, ["modality"], {"modality": shares}) if d.options and d.reason is None]
    assert {frozenset(d.options) for d in asked} == {frozenset(shares.shares)}
    assert {d.answer for d in asked} == set(shares.shares)


def test_the_right_letter_is_spread_evenly_and_repeats():
    made = [d for d in drafts([clip(n) for n in range(100)], ["place"]) if d.options]
    places = Counter(d.options.index(d.answer) for d in made)
    assert all(70 < places[n] < 130 for n in range(4))
    assert made == [d for d in drafts([clip(n) for n in range(100)], ["place"]) if d.options]
    assert made != [d for d in drafts([clip(n) for n in range(100)], ["place"], seed=1) if d.options]


def test_the_census_counts_what_can_be_asked():
    said = SAID | {"upper left": "In the upper corner there is a lesion.", "lower left": "Nothing medical."}
    counts = templates.census([clip(said=said), clip(1, modality="Other")], always)
    assert counts["modality"] == {"CT": 1}
    assert counts["place"] == {"upper left": 1, "upper right": 2, "lower left": 1, "lower right": 2}
