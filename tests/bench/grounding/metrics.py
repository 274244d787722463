"""Scene changes, stable intervals, cursor trace and pointing episodes against the truth: pure functions.

Seconds of the video's clock, pixels of the upright video; distances are given at 720p (pixels times 720 / height), so
that films of all sizes can be pooled. No published system defines any of these measures for its own data (MedicalNarratives
says that none of its videos has human spatial annotation); the definitions here are therefore ours.
"""

import bisect
from collections.abc import Sequence

import numpy as np

from tests.bench.grounding.found import Interval, Link, Point, Pointing, Tally, count
from tests.lectures.grounding.truth import Box, Change, Episode, Rest, Truth

SCENE_TOLERANCE_S = 0.5
CROSSING_S = 0.3
HIT_PX = 10.0
"""At 720p: the cursor counts as found."""
BRIDGE_S = 0.25
"""Between two samples not further apart the cursor is taken to have gone straight."""
_SAME_TIME_S = 1e-3


def scene_tallies(found_s: Sequence[float], changes: Sequence[Change], prefix: str = "scene") -> list[Tally]:
    """Precision, recall and F1 of the found change times.

    A found time hits a change if it lies in [start - 0.5 s, end + 0.5 s]; each may be used once, the largest such matching
    is taken. Hits, found and true ones are summed over films before dividing.
    """
    hits = _matched(sorted(found_s), changes)
    found, true = len(found_s), len(changes)
    return [
        Tally(metric=f"{prefix}.f1", numerator=2.0 * hits, denominator=float(found + true)),
        Tally(metric=f"{prefix}.precision", numerator=float(hits), denominator=float(found)),
        Tally(metric=f"{prefix}.recall", numerator=float(hits), denominator=float(true)),
    ]


def _matched(found_s: list[float], changes: Sequence[Change]) -> int:
    """The windows are intervals on a line: serving the one that closes first, with the earliest time in it, is optimal."""
    free = list(found_s)
    hits = 0
    for change in sorted(changes, key=lambda c: c.end_s):
        at = bisect.bisect_left(free, change.start_s - SCENE_TOLERANCE_S - 1e-9)
        if at < len(free) and free[at] <= change.end_s + SCENE_TOLERANCE_S + 1e-9:
            free.pop(at)
            hits += 1
    return hits


def overlap_s(a: tuple[float, float], b: tuple[float, float]) -> float:
    """How long both stretches last together, seconds."""
    return max(0.0, min(a[1], b[1]) - max(a[0], b[0]))


def best_interval(rest: Rest, intervals: Sequence[Interval]) -> Interval | None:
    """The found interval that overlaps the rest longest; None where none does."""
    span = (rest.start_s, rest.end_s)
    best = max(intervals, key=lambda i: overlap_s(span, (i.start_s, i.end_s)), default=None)
    return best if best and overlap_s(span, (best.start_s, best.end_s)) > 0 else None


def stable_tallies(intervals: Sequence[Interval], truth: Truth) -> list[Tally]:
    """Temporal agreement of the stable intervals with the true rests.

    `stable.iou` (the main one): for each true rest the best intersection over union in time with any one found interval,
    averaged with the rests' lengths as weights: a rest cut in two scores half. `stable.union_iou`: the same of all found
    time with all true time. `stable.crossing`: found intervals per film that contain a true change with more than 0.3 s on
    both sides of it (of a fade: that contain all of it, and 0.3 s on both sides).
    """
    weighted = total = 0.0
    for rest in truth.rests:
        length = rest.end_s - rest.start_s
        ious = [_iou_s((rest.start_s, rest.end_s), (i.start_s, i.end_s)) for i in intervals]
        weighted, total = weighted + length * max(ious, default=0.0), total + length
    found = _union([(i.start_s, i.end_s) for i in intervals])
    true = _union([(r.start_s, r.end_s) for r in truth.rests])
    both = sum(overlap_s(a, b) for a in found for b in true)
    either = sum(b - a for a, b in [*found, *true]) - both
    crossing = sum(
        any(i.start_s < c.start_s - CROSSING_S and i.end_s > c.end_s + CROSSING_S for c in truth.changes) for i in intervals
    )
    return [
        Tally(metric="stable.iou", numerator=weighted, denominator=total),
        Tally(metric="stable.union_iou", numerator=both, denominator=either),
        count("stable.crossing", crossing),
    ]


def _iou_s(a: tuple[float, float], b: tuple[float, float]) -> float:
    both = overlap_s(a, b)
    return both / (a[1] - a[0] + b[1] - b[0] - both) if both else 0.0


def _union(spans: list[tuple[float, float]]) -> list[tuple[float, float]]:
    merged: list[tuple[float, float]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def position_at(
    trace: Sequence[Point], times: Sequence[float], start_s: float, end_s: float
) -> tuple[float, float] | None:
    """Where the trace puts the cursor in the frame on show from `start_s` to `end_s`; None where it has no point then.

    Between two samples at most 0.25 s apart, on the straight line; a sample without such a neighbour holds for the frame
    that it falls into, and no longer. `times` are the trace's own times, in order.
    """
    after = bisect.bisect_left(times, start_s - _SAME_TIME_S)
    if after < len(trace) and (times[after] <= start_s + _SAME_TIME_S or times[after] < end_s - _SAME_TIME_S):
        here = trace[after]
        if times[after] <= start_s + _SAME_TIME_S or after == 0 or times[after] - times[after - 1] > BRIDGE_S + _SAME_TIME_S:
            return here.x, here.y
    if 0 < after < len(trace) and times[after] - times[after - 1] <= BRIDGE_S + _SAME_TIME_S:
        a, b = trace[after - 1], trace[after]
        share = (start_s - a.time_s) / (b.time_s - a.time_s)
        return a.x + share * (b.x - a.x), a.y + share * (b.y - a.y)
    return None


def trace_tallies(trace: Sequence[Point], truth: Truth) -> list[Tally]:
    """The cursor's trace against the true position of its hot spot at every frame.

    `trace.error_p50`, `trace.error_p95`: distance of each found sample from the true position of the frame then on show,
    pixels at 720p, over samples at which the cursor is visible. `trace.recall`: share of the time in true rests with the
    cursor visible at which the trace has a point (see `position_at`) within 10 px at 720p; `trace.recall_film`: the same
    of the whole film. `trace.false`: share of the time without visible cursor at which the trace has a point;
    `trace.false_never`: the same over films in which the cursor is never visible.
    """
    scale = 720 / truth.size[1]
    times = [p.time_s for p in trace]
    shown_s = [c[0] for c in truth.cursor]
    errors = []
    for p in trace:
        _, x, y, visible = truth.cursor[max(0, bisect.bisect_right(shown_s, p.time_s + _SAME_TIME_S) - 1)]
        if visible:
            errors.append(scale * float(np.hypot(p.x - x, p.y - y)))
    sums = {"seen": 0.0, "hit": 0.0, "seen_rest": 0.0, "hit_rest": 0.0, "absent": 0.0, "false": 0.0}
    ends = [*shown_s[1:], truth.duration_s]
    for (time_s, x, y, visible), end_s in zip(truth.cursor, ends, strict=True):
        lasts_s = max(0.0, end_s - time_s)
        at = position_at(trace, times, time_s, end_s)
        if not visible:
            sums["absent"] += lasts_s
            sums["false"] += lasts_s * (at is not None)
            continue
        hit = at is not None and scale * float(np.hypot(at[0] - x, at[1] - y)) <= HIT_PX
        sums["seen"] += lasts_s
        sums["hit"] += lasts_s * hit
        if any(r.start_s <= time_s < r.end_s for r in truth.rests):
            sums["seen_rest"] += lasts_s
            sums["hit_rest"] += lasts_s * hit
    never = 0.0 if any(c[3] for c in truth.cursor) else 1.0
    return [
        Tally(metric="trace.error_p50", values=tuple(errors), p=0.5),
        Tally(metric="trace.error_p95", values=tuple(errors), p=0.95),
        Tally(metric="trace.recall", numerator=sums["hit_rest"], denominator=sums["seen_rest"]),
        Tally(metric="trace.recall_film", numerator=sums["hit"], denominator=sums["seen"]),
        Tally(metric="trace.false", numerator=sums["false"], denominator=sums["absent"]),
        Tally(metric="trace.false_never", numerator=never * sums["false"], denominator=never * sums["absent"]),
    ]


def box_iou(a: Box, b: Box) -> float:
    """Area of both over area of either."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def matched_episode(episode: Episode, found: Sequence[Pointing]) -> int | None:
    """Index of the found episode with the longest overlap in time; None where none overlaps."""
    spans = [overlap_s((episode.start_s, episode.end_s), (f.start_s, f.end_s)) for f in found]
    best = max(range(len(found)), key=lambda i: spans[i], default=None)
    return best if best is not None and spans[best] > 0 else None


def episode_tallies(found: Sequence[Pointing], truth: Truth) -> list[Tally]:
    """Boxes of the pointing episodes.

    `episode.iou`: for each true episode the box IoU of the found episode with the longest overlap in time and the true
    target's box; 0 where none overlaps; mean over episodes. `episode.time_iou`: the IoU in time of the same pairs.
    `episode.extra`: found episodes that are no true episode's match, per minute of film.
    """
    matches = [matched_episode(e, found) for e in truth.episodes]
    pairs = [(e, found[m]) for e, m in zip(truth.episodes, matches, strict=True) if m is not None]
    boxes = sum(box_iou(e.box, f.box) for e, f in pairs)
    in_time = sum(_iou_s((e.start_s, e.end_s), (f.start_s, f.end_s)) for e, f in pairs)
    extra = len(found) - len({m for m in matches if m is not None})
    true = float(len(truth.episodes))
    return [
        Tally(metric="episode.iou", numerator=boxes, denominator=true),
        Tally(metric="episode.time_iou", numerator=in_time, denominator=true),
        Tally(metric="episode.extra", numerator=float(extra), denominator=truth.duration_s / 60),
    ]


def scene_of(image: int, intervals: Sequence[Interval], truth: Truth) -> set[int]:
    """The scenes that the picture stands for: of each of its intervals the scene that it overlaps longest."""
    scenes = set()
    for i in intervals:
        if i.image == image:
            spans = [overlap_s((i.start_s, i.end_s), (start, end)) for start, end, _ in truth.scenes]
            scenes.add(int(np.argmax(spans)))
    return scenes


def alignment_tallies(
    links: Sequence[Link], intervals: Sequence[Interval], episodes: Sequence[Pointing], truth: Truth
) -> list[Tally]:
    """Sentences tied to what they speak of. A sentence is judged by its first link; one without a link is wrong.

    `align.accuracy`: share of the medical sentences whose picture is of the scene they speak of, and of the ROI sentences
    for which besides the linked episode is the one of theirs (it overlaps their true episode, and no other one longer).
    `align.medical`, `align.roi`: the two kinds apart; `align.roi_picture`: of ROI sentences, the picture alone.
    `align.kind`: of the
    sentences whose first link says whether it is medical or ROI, the share of which that is right. `align.precision`: share
    of all links of such sentences whose picture is of the right scene. `align.stray`: share of
    the `other` sentences, which speak of no picture, that were tied to one.
    """
    by_sentence: dict[int, list[Link]] = {}
    for link in links:
        by_sentence.setdefault(link.sentence, []).append(link)
    parts = ("medical", "roi", "medical_right", "roi_right", "roi_picture", "links", "links_right", "kind", "kind_right")
    sums = dict.fromkeys(parts, 0)
    for index, sentence in enumerate(truth.spoken):
        if sentence.kind == "other":
            continue
        mine = by_sentence.get(index, [])
        right = [sentence.scene in scene_of(link.image, intervals, truth) for link in mine]
        sums[sentence.kind] += 1
        sums["links"] += len(mine)
        sums["links_right"] += sum(right)
        sums["kind"] += bool(mine) and mine[0].kind is not None
        sums["kind_right"] += bool(mine) and mine[0].kind == sentence.kind
        if sentence.kind == "medical":
            sums["medical_right"] += right[:1] == [True]
        elif right[:1] == [True]:
            sums["roi_picture"] += 1
            sums["roi_right"] += _right_episode(mine[0].episode, sentence.episode, episodes, truth.episodes)
    others = [i for i, s in enumerate(truth.spoken) if s.kind == "other"]
    ratios = {
        "align.accuracy": (sums["medical_right"] + sums["roi_right"], sums["medical"] + sums["roi"]),
        "align.medical": (sums["medical_right"], sums["medical"]),
        "align.roi": (sums["roi_right"], sums["roi"]),
        "align.roi_picture": (sums["roi_picture"], sums["roi"]),
        "align.kind": (sums["kind_right"], sums["kind"]),
        "align.precision": (sums["links_right"], sums["links"]),
        "align.stray": (sum(i in by_sentence for i in others), len(others)),
    }
    return [Tally(metric=m, numerator=float(a), denominator=float(b)) for m, (a, b) in ratios.items()]


def _right_episode(linked: int | None, true: int | None, found: Sequence[Pointing], episodes: Sequence[Episode]) -> bool:
    if true is None:  # nothing was pointed at
        return linked is None
    if linked is None:
        return False
    span = (found[linked].start_s, found[linked].end_s)
    spans = [overlap_s(span, (e.start_s, e.end_s)) for e in episodes]
    return spans[true] > 0 and spans[true] >= max(spans)
