"""The published rules as baselines: each does what its description says."""

import numpy as np

from tests.bench.grounding.found import Interval, Point, Pointing
from tests.bench.grounding.published import Constants, cursor_trace, kept_key_frames, stable_chunks, stable_image
from tests.bench.grounding.published_text import chunks, clustered, keywords, linked
from tests.lectures.grounding.truth import Spoken, Word

CONSTANTS = Constants()


def texture(seed: int, shape: tuple[int, ...] = (180, 320)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, shape, dtype=np.uint8)


def shown(*parts: tuple[float, int | None]) -> list[tuple[float, np.ndarray]]:
    """Eight samples a second: each part is seconds and a picture's seed, or None for another picture at each sample."""
    samples, frame = [], 0
    for seconds, seed in parts:
        for _ in range(round(8 * seconds)):
            samples.append((frame / 8, texture(1000 + frame if seed is None else seed)))
            frame += 1
    return samples


def test_stable_chunks_are_the_still_stretches_of_three_seconds() -> None:
    found = stable_chunks(shown((4, 1), (3, None), (2, 2), (5, 3)), CONSTANTS)
    assert found == [(0.0, 4.0), (9.0, 14.0)]


def test_a_single_picture_on_show_long_is_stable() -> None:
    assert stable_chunks([(0.0, texture(1)), (5.0, texture(2)), (6.0, texture(3))], CONSTANTS) == [(0.0, 5.0)]


def test_stable_image_is_the_median_of_like_frames() -> None:
    frames = [texture(1, (90, 160, 3)) for _ in range(5)] + [texture(2, (90, 160, 3))] * 4
    # the first of the second picture is dropped, but its copies agree with each other: four against three
    image = stable_image(frames, np.random.default_rng(0), CONSTANTS)
    assert (image == np.median([*frames[1:5], *frames[6:]], axis=0).astype(np.uint8)).mean() > 0.99


def test_key_frames_are_kept_only_if_quite_unlike() -> None:
    def wave(phase: float) -> np.ndarray:
        x = np.linspace(0, 8 * np.pi, 160)
        return np.tile((127 + 120 * np.sin(x + phase)).astype(np.uint8)[:, None, None], (1, 90, 3)).transpose(1, 0, 2)

    assert kept_key_frames([wave(0.0), wave(0.1), wave(np.pi)], np.random.default_rng(0), CONSTANTS) == [0, 2]


def test_cursor_is_the_largest_difference_from_the_median() -> None:
    samples = []
    for i in range(20):
        frame = np.full((90, 160), 80, np.uint8)
        frame[40:44, 5 * i : 5 * i + 4] = 250
        samples.append((i / 8, frame))
    trace = cursor_trace(samples, 2.0, CONSTANTS)
    assert len(trace) == 20
    assert all(abs(p.x - 2 * (5 * 8 * p.time_s + 2)) <= 4 and 80 <= p.y <= 88 for p in trace)
    assert cursor_trace([(t, np.full((90, 160), 80, np.uint8)) for t, _ in samples], 2.0, CONSTANTS) == []


def test_chunker_as_released() -> None:
    assert chunks([0, 5, 8], [False, True, True], 10) == []  # a run that reaches the last key frame is lost
    assert chunks([0, 5, 8, 12], [False, True, True, False], 10) == [(0, 12)]
    assert chunks([0, 5, 30], [False, True, True], 10) == [(0, 30)]
    assert chunks([2, 4, 13, 16], [False, True, True, True], 10) == [(2, 16)]


def sentence(text: str, start_s: float, end_s: float, kind: str = "roi") -> Spoken:
    return Spoken(text=text, start_s=start_s, end_s=end_s, kind=kind, scene=0, episode=None)


def dwell(x: float, y: float, start_s: float) -> list[Point]:
    spots = [(dx, dy) for dx in (-60, 0, 60) for dy in (-60, 0, 60)]
    return [Point(time_s=start_s + i / 8, x=x + dx, y=y + dy) for i, (dx, dy) in enumerate(spots * 2)]


def test_clusters_of_two_places_and_their_sentences() -> None:
    trace = dwell(200, 200, 0.0) + dwell(600, 400, 4.0)
    spoken = [(3, sentence("one two three four five six seven", 0, 2)), (4, sentence("eight nine ten eleven twelve", 4, 6))]
    found = clustered(trace, spoken, (800, 600))
    assert [(p.box, mine) for p, mine in found] == [((140, 140, 260, 260), [3]), ((540, 340, 660, 460), [4])]
    assert found == clustered(trace, spoken, (800, 600))
    few = [(3, sentence("one two", 0, 2)), (4, sentence("three four", 4, 6))]  # up to ten words: one box over all
    assert [(p.box, mine) for p, mine in clustered(trace, few, (800, 600))] == [((140, 140, 660, 460), [3, 4])]


def test_small_clusters_are_dropped() -> None:
    assert clustered([Point(time_s=i / 8, x=100.0 + i, y=100.0) for i in range(20)], [(0, sentence("a b", 0, 2))],
                     (1280, 720)) == []  # fmt: skip


def test_keywords_are_rakes_words() -> None:
    assert keywords("This is the spinal canal, and it is not narrow.") == {"spinal", "canal", "narrow"}


def test_texts_go_to_pictures_that_share_keywords() -> None:
    spoken = [sentence("The spinal canal is wide.", 2, 4), sentence("A nodule in the lung.", 12, 14),
              sentence("Hello.", 15, 16, "other")]  # fmt: skip
    words = [Word(text=t, start_s=s.start_s, end_s=s.end_s) for s in spoken for t in s.text.split()]
    intervals = [Interval(start_s=0, end_s=6, image=0), Interval(start_s=10, end_s=18, image=1)]
    episodes = [(Pointing(start_s=2, end_s=4, box=(0, 0, 1, 1)), [0])]
    links = linked(spoken, words, [(0, 20)], intervals, episodes)
    assert [(link.sentence, link.image, link.episode) for link in links] == [(0, 0, 0), (1, 1, None)]
    assert linked(spoken, words, [(5, 20)], intervals, episodes)[0].sentence == 1  # the first lies in no chunk
