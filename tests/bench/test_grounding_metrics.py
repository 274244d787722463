"""The bench's measures of time, trace, boxes, links and words on truth made by hand."""

import pytest

from tests.bench.grounding.found import Interval, Link, Point, Pointing, Tally, pooled
from tests.bench.grounding.metrics import (
    alignment_tallies,
    box_iou,
    episode_tallies,
    scene_tallies,
    stable_tallies,
    trace_tallies,
)
from tests.bench.grounding.words import word_tallies
from tests.lectures.grounding.truth import Change, Episode, Rest, Spoken, Truth, Word


def value(tallies: list[Tally], metric: str) -> float | None:
    (found,) = [t for t in tallies if t.metric == metric]
    return found.value


def cut(time_s: float) -> Change:
    return Change(kind="cut", start_s=time_s, end_s=time_s)


def rest(start_s: float, end_s: float, scene: int = 0) -> Rest:
    return Rest(start_s=start_s, end_s=end_s, scene=scene, picture=f"{scene}.png", ignore=())


def said(kind: str, start_s: float, end_s: float, scene: int | None = None, episode: int | None = None) -> Spoken:
    return Spoken(text="words", start_s=start_s, end_s=end_s, kind=kind, scene=scene, episode=episode)


def truth(
    *,
    rests: tuple[Rest, ...] = (),
    changes: tuple[Change, ...] = (),
    cursor: tuple[tuple[float, float, float, bool], ...] = (),
    episodes: tuple[Episode, ...] = (),
    spoken: tuple[Spoken, ...] = (),
    duration_s: float = 20.0,
    size: tuple[int, int] = (1280, 720),
) -> Truth:
    return Truth(
        size=size, fps=10.0, duration_s=duration_s, domain="ct", factors={}, builds_s=(), words=(), cursor_px=20.0,
        scenes=((0.0, 10.0, "slide"), (10.0, 20.0, "picture")), rests=rests, changes=changes, cursor=cursor,
        episodes=episodes, spoken=spoken,
    )  # fmt: skip


def test_scene_changes_match_one_to_one() -> None:
    changes = (cut(5.0), cut(10.0), Change(kind="fade", start_s=14.0, end_s=15.0))
    tallies = scene_tallies([5.4, 5.45, 10.6, 14.5], changes)  # two near one cut, one too late, one within the fade
    assert value(tallies, "scene.precision") == 2 / 4
    assert value(tallies, "scene.recall") == 2 / 3
    assert value(tallies, "scene.f1") == pytest.approx(4 / 7)


@pytest.mark.parametrize(("time_s", "hit"), [(13.49, 0), (13.5, 1), (15.5, 1), (15.51, 0)])
def test_fade_counts_from_half_a_second_before_to_half_after(time_s: float, hit: int) -> None:
    tallies = scene_tallies([time_s], (Change(kind="fade", start_s=14.0, end_s=15.0),))
    assert value(tallies, "scene.recall") == hit


def test_two_close_cuts_both_match() -> None:
    assert value(scene_tallies([5.3, 5.6], (cut(5.2), cut(5.8))), "scene.f1") == 1.0
    wide = (Change(kind="fade", start_s=1.0, end_s=9.0), cut(5.0))  # the fade must not take the cut's only time
    assert value(scene_tallies([5.0, 8.0], wide), "scene.f1") == 1.0


def test_nothing_found_where_nothing_was() -> None:
    assert value(scene_tallies([], ()), "scene.f1") is None
    assert value(scene_tallies([3.0], ()), "scene.f1") == 0.0


def interval(start_s: float, end_s: float, image: int = 0) -> Interval:
    return Interval(start_s=start_s, end_s=end_s, image=image)


def test_a_rest_cut_in_two_scores_half() -> None:
    known = truth(rests=(rest(0, 10), rest(12, 17, 1)))
    tallies = stable_tallies([interval(0, 5), interval(5, 10), interval(12, 17)], known)
    assert value(tallies, "stable.iou") == pytest.approx((10 * 0.5 + 5 * 1.0) / 15)
    assert value(tallies, "stable.union_iou") == pytest.approx(1.0)


def test_missed_and_invented_rest_lower_the_union() -> None:
    known = truth(rests=(rest(0, 10), rest(12, 16, 1)))
    tallies = stable_tallies([interval(0, 10), interval(18, 20)], known)
    assert value(tallies, "stable.iou") == pytest.approx(10 / 14)
    assert value(tallies, "stable.union_iou") == pytest.approx(10 / 16)


@pytest.mark.parametrize(("end_s", "crosses"), [(10.25, 0), (10.4, 1)])
def test_interval_across_a_change(end_s: float, crosses: int) -> None:
    tallies = stable_tallies([interval(2.0, end_s)], truth(changes=(cut(10.0),)))
    assert value(tallies, "stable.crossing") == crosses


def frames(visible_until_s: float, duration_s: float = 20.0, fps: int = 10) -> tuple[tuple[float, float, float, bool], ...]:
    """The cursor goes right at 100 px a second and vanishes."""
    return tuple((i / fps, 100.0 + 10 * i, 300.0, i / fps < visible_until_s) for i in range(round(duration_s * fps)))


def points(known: Truth, start_s: float, end_s: float, dx: float = 0.0) -> list[Point]:
    return [Point(time_s=t, x=x + dx, y=y) for t, x, y, _ in known.cursor if start_s <= t < end_s]


def test_perfect_trace() -> None:
    known = truth(rests=(rest(0, 20),), cursor=frames(20))
    tallies = trace_tallies(points(known, 0, 20), known)
    expected = {"error_p50": 0.0, "error_p95": 0.0, "recall": 1.0, "recall_film": 1.0, "false": None}
    assert {m: value(tallies, f"trace.{m}") for m in expected} == expected


def test_errors_are_scaled_to_720p() -> None:
    known = truth(rests=(rest(0, 20),), cursor=frames(20), size=(1920, 1080))
    tallies = trace_tallies(points(known, 0, 20, dx=9.0), known)
    assert value(tallies, "trace.error_p50") == pytest.approx(6.0)
    assert value(tallies, "trace.recall") == 1.0
    assert value(trace_tallies(points(known, 0, 20, dx=16.0), known), "trace.recall") == 0.0


def test_recall_counts_visible_time_in_rests() -> None:
    known = truth(rests=(rest(0, 10),), cursor=frames(20))
    tallies = trace_tallies(points(known, 0, 5), known)
    assert value(tallies, "trace.recall") == pytest.approx(0.5)
    assert value(tallies, "trace.recall_film") == pytest.approx(0.25)


def test_frames_between_near_samples_are_bridged_and_others_not() -> None:
    known = truth(rests=(rest(0, 20),), cursor=frames(20))
    assert value(trace_tallies(points(known, 0, 20)[::2], known), "trace.recall") == pytest.approx(0.995, abs=0.006)
    assert value(trace_tallies(points(known, 0, 20)[::4], known), "trace.recall") == pytest.approx(0.25)


def test_points_without_a_cursor_are_false() -> None:
    known = truth(cursor=frames(10))
    lingering = [Point(time_s=i / 10, x=200.0, y=300.0) for i in range(150)]
    tallies = trace_tallies(lingering, known)
    assert value(tallies, "trace.false") == pytest.approx(0.5)
    assert value(tallies, "trace.false_never") is None
    assert value(trace_tallies(points(known, 0, 10), known), "trace.false") == 0.0
    never = truth(cursor=frames(0))
    assert value(trace_tallies(lingering, never), "trace.false_never") == pytest.approx(0.75)
    assert value(trace_tallies(lingering, never), "trace.error_p50") is None


def test_box_iou() -> None:
    assert box_iou((0, 0, 10, 10), (5, 0, 15, 10)) == pytest.approx(1 / 3)
    assert box_iou((0, 0, 10, 10), (20, 0, 30, 10)) == 0.0


def test_episodes_are_matched_in_time_and_missed_ones_count() -> None:
    episodes = (Episode(start_s=0, end_s=4, box=(0, 0, 10, 10), sentence=0),
                Episode(start_s=6, end_s=8, box=(0, 0, 10, 10), sentence=1))  # fmt: skip
    found = [Pointing(start_s=0, end_s=1, box=(0, 0, 10, 10)), Pointing(start_s=1, end_s=4, box=(0, 0, 10, 5)),
             Pointing(start_s=15, end_s=16, box=(0, 0, 10, 10))]  # fmt: skip
    tallies = episode_tallies(found, truth(episodes=episodes))
    assert value(tallies, "episode.iou") == pytest.approx(0.5 / 2)  # the longer one is taken, the other episode is missed
    assert value(tallies, "episode.time_iou") == pytest.approx(0.75 / 2)
    assert value(tallies, "episode.extra") == pytest.approx(2 * 3)


def test_alignment_judges_picture_and_episode() -> None:
    episodes = (Episode(start_s=11, end_s=13, box=(0, 0, 1, 1), sentence=2),
                Episode(start_s=14, end_s=16, box=(0, 0, 1, 1), sentence=3))  # fmt: skip
    spoken = (said("other", 0, 1), said("medical", 2, 4, 0), said("roi", 11, 13, 1, 0), said("roi", 14, 16, 1, 1),
              said("medical", 9, 9.5, 1))  # fmt: skip
    known = truth(episodes=episodes, spoken=spoken)
    intervals = [interval(0, 10, 0), interval(10, 20, 1)]
    found = [Pointing(start_s=11, end_s=13, box=(0, 0, 1, 1)), Pointing(start_s=14, end_s=16, box=(0, 0, 1, 1))]
    right = [Link(sentence=1, image=0), Link(sentence=2, image=1, episode=0), Link(sentence=3, image=1, episode=1),
             Link(sentence=4, image=1), Link(sentence=4, image=0)]  # fmt: skip
    tallies = alignment_tallies(right, intervals, found, known)
    assert value(tallies, "align.accuracy") == 1.0  # the first link counts
    assert value(tallies, "align.precision") == pytest.approx(4 / 5)
    assert value(tallies, "align.stray") == 0.0
    wrong = [Link(sentence=0, image=0), Link(sentence=1, image=1), Link(sentence=2, image=1, episode=1),
             Link(sentence=3, image=1)]  # fmt: skip
    tallies = alignment_tallies(wrong, intervals, found, known)
    assert value(tallies, "align.accuracy") == 0.0
    assert value(tallies, "align.roi_picture") == 1.0
    assert value(tallies, "align.stray") == 1.0


def test_word_times() -> None:
    true = [Word(text=t, start_s=float(i), end_s=i + 0.5) for i, t in enumerate(["Look,", "here", "at", "bone."])]
    found = [Word(text="look", start_s=0.1, end_s=0.5), Word(text="hear", start_s=1.0, end_s=1.5),
             Word(text="at", start_s=2.3, end_s=2.5), Word(text="Bone", start_s=3.1, end_s=3.4)]  # fmt: skip
    tallies = word_tallies(found, true)
    assert value(tallies, "word.start_p50_ms") == pytest.approx(100)
    assert value(tallies, "word.end_p50_ms") == pytest.approx(0)
    assert value(tallies, "word.matched") == 3 / 4
    assert value(tallies, "word.error_rate") == 1 / 4


def test_pooling_sums_counts_and_joins_distributions() -> None:
    ratio = pooled([Tally(metric="a", numerator=1, denominator=1), Tally(metric="a", numerator=0, denominator=3)])
    assert ratio.value == 0.25
    spread = pooled([Tally(metric="b", values=(0.0, 1.0)), Tally(metric="b", values=(10.0,)), Tally(metric="b", values=())])
    assert spread.value == 1.0
