"""The grounding films say the truth about themselves."""

import dataclasses
import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.lectures.grounding import truth
from tests.lectures.grounding.factors import CURSORS, DOMAINS, LEADS, Factors, factors
from tests.lectures.grounding.film import Film, render_film, words_of
from tests.lectures.grounding.plan import LEAST_S, MOST_S, plan
from tests.lectures.grounding.pool import GREETINGS, TALKS
from tests.lectures.grounding.sources import source
from tests.lectures.grounding.truth import Truth
from tests.lectures.grounding.voice import speak

SMALL = Factors(
    seed=3, index=4, domain="ct", size=(640, 360), fps=6.0, crf=18, cursor="white_arrow", cursor_px=16.0, gesture="circles",
    leaves=True, ink=True, speaker="stays", builds=True, caret=True, viewer=True, clock=True, captions=True, lead="over_cut",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Seen:
    """A rendered film: its truth and its decoded frames."""

    film: Film
    truth: Truth
    path: Path
    times_s: np.ndarray
    frames: list[np.ndarray]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    import av

    path = render_film(SMALL, tmp_path_factory.mktemp("grounding") / "film.mp4")
    with av.open(str(path)) as container:
        frames = [(frame.time, frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
    times_s, pixels = zip(*frames, strict=True)
    return Seen(Film.of(SMALL), truth.load(path), path, np.array(times_s), list(pixels))


def test_factors_are_the_same_every_time_and_differ_by_seed() -> None:
    assert factors(5, 17) == factors(5, 17)
    assert factors(5, 17) != factors(6, 17)


@pytest.mark.parametrize("seed", [1, 2, 7])
def test_ten_films_meet_all_domains_and_cursors(seed: int) -> None:
    for first in (0, 10, 33):
        some = [factors(seed, index) for index in range(first, first + 10)]
        assert {one.domain for one in some} == set(DOMAINS)
        assert {one.cursor for one in some} == set(CURSORS)
        assert len({one.size for one in some}) == 3


def test_sixty_films_meet_everything_several_times() -> None:
    many = [factors(1, index) for index in range(60)]
    for name in ("idle", "leaves", "hides", "ink", "builds", "caret", "viewer", "moving", "clock", "captions", "vfr"):
        assert 6 <= sum(getattr(one, name) for one in many) <= 42, name
    for name in ("inset_fps", "fade_s", "scroll_s", "noise", "speaker"):
        assert 6 <= sum(getattr(one, name) is not None for one in many) <= 42, name
    leads = Counter(one.lead for one in many)
    assert min(leads[lead] for lead in LEADS) >= 3
    assert 12 <= 60 - leads[None] <= 26
    assert len({(one.domain, one.cursor) for one in many}) == len(DOMAINS) * len(CURSORS)


def test_all_sentences_are_spoken_word_for_word() -> None:
    for talk in TALKS.values():
        for subject in talk.subjects:
            for text in (*subject.medical, *subject.regions.values(), subject.lead):
                said = speak(text)
                bounds = [edge for _, start_s, end_s in said.words for edge in (start_s, end_s)]
                assert bounds == sorted(bounds)
                assert 0 == bounds[0] < bounds[-1] == said.length_s
    assert all(speak(text).words for text in GREETINGS)


def test_pictures_hold_the_regions_that_are_spoken_of() -> None:
    subjects = [subject for talk in TALKS.values() for subject in talk.subjects]
    for subject in subjects:
        if subject.picture.endswith("_film"):
            continue
        shown = source(subject.picture)
        height, width = shown.pixels.shape[:2]
        for region in subject.regions:
            x0, y0, x1, y1 = shown.regions[region]
            assert 0 <= x0 < x1 <= width + 1
            assert 0 <= y0 < y1 <= height + 1


def test_plans_keep_their_promises() -> None:
    for index in range(40):
        planned = plan(one := factors(9, index))
        assert LEAST_S <= planned.parts[-1].end_s <= MOST_S
        assert 4 <= len(planned.parts) <= 6
        assert all(a.end_s < b.start_s for a, b in itertools.pairwise(planned.said))
        assert all(a.end_s == b.start_s for a, b in itertools.pairwise(planned.parts))
        assert planned.said[-1].end_s < planned.parts[-1].end_s
        if one.cursor is None:
            assert not any(said.kind == "roi" for said in planned.said)
        for said in planned.said:
            part = planned.parts[said.scene]
            shown_s = min(said.end_s, part.end_s) - max(said.start_s, part.start_s)
            assert one.lead or shown_s > 0.99 * (said.end_s - said.start_s)


@pytest.mark.parametrize("lead", LEADS)
def test_speech_crosses_the_cuts_where_it_shall(lead: str) -> None:
    for index in range(12):
        planned = plan(dataclasses.replace(factors(4, index), lead=lead))
        placed = [(said, planned.parts[said.scene]) for said in planned.said]
        early = [(said, part) for said, part in placed if said.start_s < part.start_s]
        late = [said for said, part in placed if said.end_s > part.end_s]
        if lead == "trails":
            assert late
            assert not early
            assert all(said.end_s - planned.parts[said.scene].end_s <= 1.0 for said in late)
        elif lead == "over_cut":
            assert all(part.start_s - said.start_s <= 1.6 and said.end_s > part.start_s for said, part in early)
        else:
            assert all(0 <= part.start_s - said.end_s <= 1.2 for said, part in early)
        if lead != "trails":
            assert early
            assert not late
            assert all(said.kind == "medical" for said, _ in early)


def test_rests_hold_no_fade_step_or_build() -> None:
    film = Film.of(dataclasses.replace(SMALL, domain="mri", fade_s=0.8, scroll_s=0.3, size=(320, 180)))
    assert {part.kind for part in film.plan.parts} >= {"slide", "viewer", "scroll"}
    fades = [(part.start_s - part.fade_s / 2, part.start_s + part.fade_s / 2) for part in film.plan.parts if part.fade_s]
    assert fades
    marks = [mark for part in film.plan.parts for mark in part.marks]
    for number, start_s, end_s in film.rests():
        part = film.plan.parts[number]
        assert part.start_s <= start_s < end_s <= part.end_s
        assert not any(start_s < mark < end_s for mark in marks)
        assert not any(a < end_s - 1e-6 and b > start_s + 1e-6 for a, b in fades)
        inside = [film.screens[number].clean(start_s + share * (end_s - start_s)) for share in (0.01, 0.5, 0.99)]
        assert all((one == inside[0]).all() for one in inside)


def _difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.abs(a.astype(int) - b).mean(axis=2)


def test_cuts_are_at_their_frames(seen: Seen) -> None:
    assert len(seen.truth.changes) == len(seen.truth.scenes) - 1
    for change in seen.truth.changes:
        assert change.kind == "cut"
        at = int(np.argmin(np.abs(seen.times_s - change.start_s)))
        assert abs(seen.times_s[at] - change.start_s) < 1e-3
        before, across = (_difference(seen.frames[i - 1], seen.frames[i]).mean() for i in (at - 1, at))
        assert across > max(8.0, 4 * before)


def test_clean_pictures_are_what_is_shown(seen: Seen) -> None:
    from PIL import Image

    assert {seen.truth.scenes[rest.scene][2] for rest in seen.truth.rests} >= {"slide", "picture", "viewer"}
    for rest in seen.truth.rests:
        assert rest.end_s - rest.start_s >= 3.0
        clean = np.asarray(Image.open(truth.pictures_of(seen.path) / rest.picture))
        assert clean.shape[1::-1] == seen.truth.size
        for share in (0.1, 0.5, 0.95):
            at = int(np.searchsorted(seen.times_s, rest.start_s + share * (rest.end_s - rest.start_s)))
            gap = _difference(clean, seen.frames[at])
            _, x, y, visible = seen.truth.cursor[at]
            boxes = [*rest.ignore, *([(x - 4, y - 4, x + 24, y + 24)] if visible else [])]
            for x0, y0, x1, y1 in boxes:
                gap[max(0, int(y0) - 2) : max(0, int(y1) + 3), max(0, int(x0) - 2) : max(0, int(x1) + 3)] = 0
            assert gap.mean() < 3.0
            assert np.percentile(gap, 99.9) < 40


def test_the_cursor_is_where_it_is_said_to_be(seen: Seen) -> None:
    width, height = seen.truth.size
    visible = hidden = 0
    for at, (time_s, x, y, shown) in enumerate(seen.truth.cursor):
        assert abs(time_s - seen.times_s[at]) < 1e-3
        if at % 7:
            continue
        without, number = seen.film.picture(time_s), seen.film.scene(time_s)
        seen.film.overlays.paste(without, time_s, number, seen.film.screens[number])
        gap = _difference(without, seen.frames[at])
        if not shown:
            hidden += 1
            assert gap.max() < 90
        elif 8 < x < width - 20 and 8 < y < height - 24:
            visible += 1
            assert gap[int(y) : int(y) + 14, int(x) : int(x) + 9].mean() > 12
            assert gap[int(y) - 8 : int(y) - 3, int(x) - 8 : int(x) + 9].mean() < 12
    assert visible > 20
    assert hidden > 3


def test_episodes_are_on_their_targets(seen: Seen) -> None:
    assert len(seen.truth.episodes) >= 3
    for number, episode in enumerate(seen.truth.episodes):
        said = seen.truth.spoken[episode.sentence]
        assert (said.kind, said.episode) == ("roi", number)
        assert episode.start_s <= said.start_s - 0.25
        x0, y0, x1, y1 = episode.box
        for time_s, x, y, shown in seen.truth.cursor:
            if episode.start_s <= time_s <= episode.end_s:
                assert shown
                assert x0 - 1 <= x <= x1 + 1
                assert y0 - 1 <= y <= y1 + 1


def test_words_are_in_their_sentences(seen: Seen) -> None:
    groups = words_of(seen.film.plan)
    assert sum(map(len, groups)) == len(seen.truth.words)
    for said, words in zip(seen.truth.spoken, groups, strict=True):
        assert said.text.split() == [word for word, _, _ in words]
        assert said.start_s == pytest.approx(words[0][1])
        assert said.end_s == pytest.approx(words[-1][2])


def test_what_is_current_is_kept(seen: Seen) -> None:
    written = seen.path.stat().st_mtime_ns
    render_film(SMALL, seen.path)
    assert seen.path.stat().st_mtime_ns == written
