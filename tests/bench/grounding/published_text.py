"""The published rules that bring words in: chunker (A), trace clustering (E) and alignment (F).

A is Quilt-1M's released `get_histo_srt_im_recon` (`data/data_utils.py`), E is Quilt-LLaVA's released
`utils/cluster_singlerow.py`, both with the faults that section 8.3 of the reference lists; F is described in words in
MedicalNarratives 3.3. What was published carries that word, the rest is a choice of ours with its reason.
"""

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tests.bench.grounding.found import Box, Interval, Link, Point, Pointing
from tests.bench.grounding.published import around
from tests.lectures.grounding.truth import Spoken, Word

PAIR_CHUNK_S = 20.0
"""P of rule A. Published as per video, its formula is not; about 50 words, as in this project's own chunker."""
SLIGHTLY_AFTER_S = 5.0
"""Rule F's "slightly after the image". Not published; one short sentence."""


def chunks(times: Sequence[float], medical: Sequence[bool], pair_s: float = PAIR_CHUNK_S) -> list[tuple[float, float]]:
    """Rule A. Text windows from key frame times and whether each is medical; nothing is flushed at the end, and a key frame
    at time 0 adds nothing, as released. Seconds."""
    windows: list[tuple[float, float]] = []
    before_s, before, run_s, start_s = 0.0, False, 0.0, 0.0
    for time_s, positive in zip(times, medical, strict=True):
        if time_s == 0:
            before_s, before = time_s, positive
            continue
        if positive and not before:
            start_s = max(before_s, time_s - pair_s)
        elif positive and time_s - before_s > pair_s:
            windows.append((start_s, time_s))
            run_s, start_s = 0.0, time_s - pair_s
        elif positive:
            run_s += time_s - before_s
            if run_s > pair_s:
                windows.append((start_s, time_s))
                run_s, start_s = 0.0, time_s - pair_s
        elif before:
            windows.append((start_s, time_s))
            run_s = 0.0
        before_s, before = time_s, positive
    return windows


@dataclass(frozen=True, slots=True, kw_only=True)
class Clusters:
    """The numbers of rule E."""

    decay: float = 0.2
    """Published: a point's weight is exp(-0.2 t), t seconds since the trace began."""
    most_words: tuple[int, ...] = (10, 40, 60)
    """Published: up to so many words 1, 2, 3 clusters; 4 beyond."""
    outlier: float = 1.5
    """Published: interquartile ranges beyond the quartiles."""
    least_area: float = 0.02
    """Published, of the picture."""
    most_area: float = 0.7
    """Published, of the picture."""
    few_words: int = 3
    """Published: a cluster with no more words joins its neighbour with more."""
    word_feature: bool = True
    """As released: a third feature, the share of the words spoken up to t (the flag that its name says enables it switches
    it off); its scale is not documented here, a share lies in the same range as x and y."""
    seed: int = 0
    """The released code seeds nothing."""


def clustered(
    trace: Sequence[Point], utterances: Sequence[tuple[int, Spoken]], size: tuple[int, int], numbers: Clusters = Clusters()
) -> list[tuple[Pointing, list[int]]]:
    """Rule E over one chunk: its trace in at most four boxes, and the utterances that go to each.

    An utterance goes to the cluster whose mean time is nearest its end. A box that stands for utterances which do not
    follow each other is given once for each run of them: that is in its favour, since it is then matched by time.

    Args:
        trace: the chunk's points.
        utterances: index and sentence of those spoken in it.
        size: width and height of the video, pixels.
        numbers: as published.

    Returns:
        Box and time, and the indices of the utterances.
    """
    words = [len(s.text.split()) for _, s in utterances]
    k = 1 + sum(sum(words) > most for most in numbers.most_words)
    if not trace or not utterances or len(trace) < k:
        return []
    labels = _labels(trace, utterances, size, k, numbers)
    boxes: list[tuple[float, Box]] = []
    for label in range(k):
        mine = [p for p, of in zip(trace, labels, strict=True) if of == label]
        inside = _without_outliers(mine, numbers.outlier)
        if not inside:
            continue
        box = around(inside)
        area = (box[2] - box[0]) * (box[3] - box[1]) / (size[0] * size[1])
        if numbers.least_area <= area <= numbers.most_area:
            boxes.append((float(np.mean([p.time_s for p in mine])), box))
    if not boxes:
        return []
    boxes.sort()
    goes = [min(range(len(boxes)), key=lambda b: abs(boxes[b][0] - s.end_s)) for _, s in utterances]
    goes = _merged(goes, words, len(boxes), numbers.few_words)
    found: list[tuple[Pointing, list[int]]] = []
    last = None
    for (index, sentence), b in zip(utterances, goes, strict=True):
        if b == last:
            before, mine_too = found[-1]
            found[-1] = (Pointing(start_s=before.start_s, end_s=sentence.end_s, box=before.box), [*mine_too, index])
        else:
            found.append((Pointing(start_s=sentence.start_s, end_s=sentence.end_s, box=boxes[b][1]), [index]))
        last = b
    return found


def _labels(
    trace: Sequence[Point], utterances: Sequence[tuple[int, Spoken]], size: tuple[int, int], k: int, numbers: Clusters
) -> np.ndarray:
    from sklearn.cluster import KMeans

    times = np.array([p.time_s for p in trace])
    weight = np.exp(-numbers.decay * (times - times[0]))
    features = [np.array([p.x for p in trace]) / size[0] * weight, np.array([p.y for p in trace]) / size[1] * weight]
    if numbers.word_feature:
        spoken = np.zeros(len(times))
        for _, s in utterances:
            share = np.clip((times - s.start_s) / max(1e-6, s.end_s - s.start_s), 0, 1)
            spoken += share * len(s.text.split())
        features.append(spoken / max(1, sum(len(s.text.split()) for _, s in utterances)))
    return np.asarray(KMeans(n_clusters=k, n_init=10, random_state=numbers.seed).fit_predict(np.stack(features, axis=1)))


def _without_outliers(points: list[Point], reach: float) -> list[Point]:
    for axis in ("x", "y"):
        values = np.array([getattr(p, axis) for p in points])
        if len(values):
            low, high = np.percentile(values, [25, 75])
            margin = reach * (high - low)
            points = [p for p, v in zip(points, values, strict=True) if low - margin <= v <= high + margin]
    return points


def _merged(goes: list[int], words: list[int], count: int, few: int) -> list[int]:
    """Clusters with few words give their utterances to the neighbour in time that has more; boxes stay as they are."""
    spoken = [sum(w for b, w in zip(goes, words, strict=True) if b == cluster) for cluster in range(count)]
    moved = list(range(count))
    for cluster in range(count):
        near = [n for n in (cluster - 1, cluster + 1) if 0 <= n < count and spoken[n] > spoken[cluster]]
        if 0 < spoken[cluster] <= few and near:
            moved[cluster] = max(near, key=lambda n: spoken[n])
    return [moved[b] for b in goes]


@functools.cache
def _stop_words() -> frozenset[str]:
    """NLTK's own list has to be downloaded; scikit-learn's comes with it."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    return frozenset(ENGLISH_STOP_WORDS)


@functools.cache
def keywords(text: str) -> frozenset[str]:
    """The words of the text's RAKE phrases (Rose et al., 2010; rake-nltk)."""
    from rake_nltk import Rake

    rake = Rake(
        stopwords=set(_stop_words()),
        sentence_tokenizer=lambda t: re.split(r"(?<=[.!?])\s+", t),
        word_tokenizer=lambda t: re.findall(r"[\w'-]+|[.,;:!?]", t),
    )
    rake.extract_keywords_from_text(text)
    return frozenset(word for phrase in rake.get_ranked_phrases() for word in phrase.split())


def linked(
    spoken: Sequence[Spoken],
    words: Sequence[Word],
    windows: Sequence[tuple[float, float]],
    intervals: Sequence[Interval],
    episodes: Sequence[tuple[Pointing, list[int]]],
) -> list[Link]:
    """Rule F. A text of a chunk is linked to each picture on show in that chunk whose keywords it shares: those spoken in
    the picture's interval or slightly after it. The picture with the most shared keywords first, then the earlier; the
    episode is the cluster that the utterance went to.

    A language model chose the medical and ROI texts in the published system; here it is given the true ones.
    """
    cluster_of = {index: at for at, (_, mine) in enumerate(episodes) for index in mine}
    near = {i: keywords(" ".join(w.text for w in words if i.start_s <= w.start_s <= i.end_s + SLIGHTLY_AFTER_S))
            for i in intervals}  # fmt: skip
    links = []
    for index, sentence in enumerate(spoken):
        if sentence.kind == "other":
            continue
        middle_s = (sentence.start_s + sentence.end_s) / 2
        mine = [w for w in windows if w[0] <= middle_s <= w[1]]
        shown = [i for i in intervals if any(i.start_s <= b and i.end_s >= a for a, b in mine)]
        scored = [(len(keywords(sentence.text) & near[i]), i) for i in shown]
        best: dict[int, int] = {}
        for shared, interval in sorted(scored, key=lambda s: (-s[0], s[1].start_s)):
            if shared > 0:
                best.setdefault(interval.image, shared)
        links += [Link(sentence=index, image=image, episode=cluster_of.get(index)) for image in best]
    return links
