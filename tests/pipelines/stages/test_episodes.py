"""Traces to pointing episodes: dwells, what belongs to a sentence, what is idle, how large the box is."""

import numpy as np
import pytest

from pipelines.config import PointingSettings
from pipelines.schema import CursorState, TracePoint, Word
from pipelines.stages.episodes import _goes_round, dwells, pointing
from pipelines.stages.sentences import Sentence

SETTINGS = PointingSettings()
SIZE = WIDTH, HEIGHT = 1600, 1000
Point = tuple[float, float]


def trace(places: list[Point], start_s: float = 0.0, state: CursorState = CursorState.MOVING) -> list[TracePoint]:
    return [
        TracePoint(time_s=start_s + i / 10, x=float(x), y=float(y), confidence=0.8, state=state)
        for i, (x, y) in enumerate(places)
    ]


def around(x: float, y: float, seconds: float, reach_x: float = 60.0, reach_y: float = 40.0) -> list[Point]:
    """To and fro: no round."""
    u = np.arange(round(10 * seconds))
    return [(x + reach_x * np.sin(i * 0.9), y + reach_y * np.sin(i * 1.7 + 0.3)) for i in u]


def line(start: Point, end: Point, seconds: float) -> list[Point]:
    u = np.linspace(0, 1, round(10 * seconds))
    return [(start[0] + (end[0] - start[0]) * k, start[1] + (end[1] - start[1]) * k) for k in u]


def said(start_s: float, end_s: float) -> Sentence:
    word = Word(start_s=start_s, end_s=end_s, text="here.", probability=1.0, sentence=0)
    return Sentence(text="here.", start_s=start_s, end_s=end_s, words=(word,))


def episodes(points: list[TracePoint], *sentences: Sentence, settings: PointingSettings = SETTINGS):
    return pointing(points, sentences, picture=3, size=SIZE, settings=settings)


def test_one_dwell_for_each_place_without_the_way_between() -> None:
    a, b = (400.0, 300.0), (1200.0, 700.0)
    found = dwells(trace(around(*a, 4) + line(a, b, 0.8) + around(*b, 4)), HEIGHT, SETTINGS)
    assert len(found) == 2
    assert (found[0].start_s, found[1].end_s) == (0.0, pytest.approx(8.7))
    assert found[0].end_s == pytest.approx(4.0, abs=0.4)
    assert found[1].start_s == pytest.approx(4.8, abs=0.4)
    assert all(abs(p.x - 400) < 130 for p in found[0].points)


def test_gestures_over_one_thing_are_one_dwell() -> None:
    assert len(dwells(trace(around(800, 500, 12)), HEIGHT, SETTINGS)) == 1


def test_distances_are_judged_by_the_pictures_height() -> None:
    points = trace(around(800, 500, 4) + around(850, 500, 4))
    assert len(dwells(points, HEIGHT, SETTINGS)) == 1
    assert len(dwells(points, HEIGHT // 4, SETTINGS)) > 1


def test_a_gap_ends_a_dwell() -> None:
    points = trace(around(800, 500, 2)) + trace(around(800, 500, 2), start_s=3.5)
    assert [d.start_s for d in dwells(points, HEIGHT, SETTINGS)] == [0.0, 3.5]


def test_passing_by_is_no_dwell() -> None:
    assert dwells(trace(around(800, 500, 0.5)), HEIGHT, SETTINGS) == ()
    assert dwells([], HEIGHT, SETTINGS) == ()


def test_long_traces_are_cut_in_bounded_time() -> None:
    found = dwells(trace(around(800, 500, 300)), HEIGHT, SETTINGS)
    assert all(len(d.points) <= 1200 for d in found)
    assert sum(len(d.points) for d in found) >= 2900


def test_an_episode_says_when_where_and_how_sure() -> None:
    (episode,) = episodes(trace(around(800, 500, 4)), said(0.5, 3.5))
    assert (episode.picture, episode.confidence) == (3, 0.8)
    assert episode.start_s == pytest.approx(0.1)  # before_s before the words
    assert episode.end_s == pytest.approx(3.8)  # after_s after them
    assert episode.points == 38
    assert episode.box.x0 < 740 < 860 < episode.box.x1
    assert episode.box.y0 < 460 < 540 < episode.box.y1


def test_each_sentence_over_one_place_has_its_episode() -> None:
    found = episodes(trace(around(800, 500, 8)), said(0.0, 3.0), said(4.5, 7.5))
    assert [(e.start_s, e.end_s) for e in found] == [pytest.approx((0.0, 3.3)), pytest.approx((4.1, 7.8))]


def test_pointing_in_silence_is_an_episode_too() -> None:
    (episode,) = episodes(trace(around(800, 500, 4)), said(20, 22))
    assert (episode.start_s, episode.end_s) == (0.0, pytest.approx(3.9))


def idle(seconds: float, start_s: float = 0.0) -> list[TracePoint]:
    return trace([(800.0, 500.0)] * round(10 * seconds), start_s, CursorState.RESTING)


def test_a_cursor_that_lies_idle_while_somebody_speaks_is_no_episode() -> None:
    assert episodes(idle(20), said(8, 12)) == ()
    assert episodes(idle(20)) == ()


def come(start_s: float, seconds: float) -> list[TracePoint]:
    """It lay elsewhere for two seconds before it came."""
    before = trace([(200.0, 800.0)] * 20, start_s - 2.0, CursorState.RESTING)
    return before + idle(seconds, start_s)


def test_a_cursor_that_came_for_the_words_is_one_however_still() -> None:
    (episode,) = episodes(come(7.0, 6), said(8, 12))
    assert (episode.start_s, episode.end_s) == (pytest.approx(7.6), pytest.approx(12.3))
    assert episodes(come(5.0, 10), said(8, 12)) == ()


def test_who_comes_just_before_a_sentence_came_for_it_though_another_one_still_lasts() -> None:
    still = trace([(800.0, 500.0)] * 60, start_s=4.2, state=CursorState.RESTING)
    found = pointing(still, [said(0, 5), said(5, 8)], picture=3, size=SIZE, settings=SETTINGS, start_s=0.0)
    assert max(e.end_s for e in found) == pytest.approx(8.0, abs=0.5)


def test_a_word_in_a_gap_of_the_trace_is_no_episode() -> None:
    points = [*trace(around(800, 500, 3)), *trace(around(800, 500, 3), start_s=3.85)]
    assert len(dwells(points, HEIGHT, SETTINGS)) == 1
    assert episodes(points, said(3.35, 3.5)) == ()


def test_a_cursor_that_was_there_when_the_picture_came_did_not_come_for_the_words() -> None:
    assert episodes(idle(6, start_s=7.0), said(8, 12)) == ()


def test_who_does_not_move_gets_an_ordinary_box() -> None:
    (episode,) = episodes(come(7.0, 6), said(8, 12))
    box = episode.box
    assert (box.x0 + box.x1) / 2 == pytest.approx(800)
    assert (box.y0 + box.y1) / 2 == pytest.approx(500)
    assert box.x1 - box.x0 == pytest.approx(SETTINGS.still_box_width * HEIGHT)
    assert box.y1 - box.y0 == pytest.approx(SETTINGS.still_box_height * HEIGHT)


def test_a_border_that_is_drawn_around_a_thing_is_its_box() -> None:
    angles = np.linspace(0, 2 * np.pi, 30)
    drawn = [(800.0, 500.0)] * 5 + [(800 + 80 * np.cos(a), 500 + 65 * np.sin(a)) for a in angles]
    (episode,) = episodes(trace(drawn), said(0, 3.5))
    (other,) = episodes(trace([(800.0, 500.0)] * 5 + around(800, 500, 3, reach_x=80)), said(0, 3.5))
    assert episode.box.x1 - episode.box.x0 == pytest.approx(2 * 80 * SETTINGS.border_scale, rel=0.04)
    assert episode.box.y1 - episode.box.y0 == pytest.approx(2 * 65 * SETTINGS.border_scale, rel=0.04)
    assert other.box.x1 - other.box.x0 == pytest.approx(2 * 80 * SETTINGS.box_scale, rel=0.04)


def test_the_middle_is_where_the_hand_came_to_rest() -> None:
    there = [(800.0, 500.0)] * 6 + [(800 + 8 * i, 500.0) for i in range(1, 20)]
    (episode,) = episodes(trace(there), said(0, 2.5))
    assert (episode.box.x0 + episode.box.x1) / 2 == pytest.approx(800, abs=3)
    assert episode.box.x0 < 700


def test_few_samples_under_a_sentence_take_the_box_of_the_whole_stay() -> None:
    points = trace(around(800, 500, 4))
    (whole,) = episodes(points, said(0, 4))
    (short,) = episodes(points, said(0.4, 0.4), settings=PointingSettings(min_box_points=9))
    assert short.points == 8
    assert short.box == whole.box
    (own,) = episodes(points, said(0.4, 0.4), settings=PointingSettings(min_box_points=8))
    assert own.box != whole.box


def test_boxes_stay_in_the_picture() -> None:
    (episode,) = episodes(trace(around(20, 980, 4)), said(0, 4))
    assert (episode.box.x0, episode.box.y1) == (0.0, float(HEIGHT))
    assert episode.box.x1 > episode.box.x0
    assert episode.box.y1 > episode.box.y0


def test_a_cursor_that_lies_still_points_where_the_sentence_does() -> None:
    still = trace([(800.0, 500.0)] * 80, state=CursorState.RESTING)

    def found(text: str):
        sentence = Sentence(text=text, start_s=4.0, end_s=6.0, words=said(4.0, 6.0).words)
        return pointing(still, [sentence], picture=0, size=SIZE, settings=SETTINGS, is_deictic=lambda t: "here" in t)

    assert len(found("Look here.")) == 1
    assert found("The heart is normal.") == ()


def test_who_is_seen_first_some_time_after_the_picture_came_for_the_words() -> None:
    still = trace([(800.0, 500.0)] * 40, start_s=9.8, state=CursorState.RESTING)

    def found(start_s: float):
        return pointing(still, [said(10.0, 12.0)], picture=0, size=SIZE, settings=SETTINGS, start_s=start_s)

    assert len(found(2.0)) == 1
    assert found(9.6) == ()


def test_waving_across_is_no_border() -> None:
    waved = [(800 + 100 * np.sin(2.5 * i), 500 + 90 * np.cos(2.5 * i)) for i in range(14)]
    assert not _goes_round(np.array(waved) - (800, 500))
    u = np.linspace(0, 2 * np.pi, 14)
    assert _goes_round(np.stack([100 * np.cos(u), 90 * np.sin(u)], axis=1))


def test_to_and_fro_tells_nothing_of_the_height_and_a_circle_does() -> None:
    def edges(reach_y: float) -> tuple[float, float]:
        (one,) = episodes(trace(around(800, 500, 4, 100.0, reach_y)), said(0.5, 3.5))
        return one.box.x1 - one.box.x0, one.box.y1 - one.box.y0

    (wide, high), (width, height) = edges(5.0), edges(40.0)
    assert high == pytest.approx(SETTINGS.box_flatness * wide, rel=0.01)
    assert 0.3 * width < height < 0.6 * width
