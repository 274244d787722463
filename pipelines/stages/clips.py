"""From frame classes and words to clips: both published segmenters, mended, and their pictures and traces."""

import dataclasses
from collections.abc import Sequence

from pipelines.config import ClipSettings
from pipelines.schema import Box, Clip, Domain, FrameClass, ShownPicture, Span, StableInterval, TracePoint, Word
from pipelines.stages.sentences import join_words


def probability_runs(frames: Sequence[FrameClass], settings: ClipSettings) -> list[Span]:
    """OpenBiomedVid's segmenter: runs of p > threshold, negatives of up to `max_gap_s` bridged.

    Mended: a run ends where its last positive frame ends (theirs ended at that frame's beginning, so a lone positive
    made an empty clip).
    """
    runs: list[Span] = []
    start_s = end_s = None
    for frame in frames:
        if frame.medical_probability > settings.min_probability:
            start_s = frame.time_s if start_s is None else start_s
            end_s = frame.until_s
        elif start_s is not None and end_s is not None and frame.until_s - end_s > settings.max_gap_s:
            runs.append(Span(start_s=start_s, end_s=end_s))
            start_s = end_s = None
    if start_s is not None and end_s is not None:
        runs.append(Span(start_s=start_s, end_s=end_s))
    last_s = frames[-1].until_s if frames else 0.0
    return [
        Span(start_s=max(0.0, r.start_s - settings.buffer_s), end_s=min(last_s, r.end_s + settings.buffer_s)) for r in runs
    ]


def key_frame_chunks(frames: Sequence[FrameClass], settings: ClipSettings) -> list[Span]:
    """Quilt-1M's key-frame chunker: text windows of about `chunk_s` around medical key frames, overlapping by as much.

    Mended: a medical run that reaches the last frame is kept, a key frame at time 0 is used, and the run counter starts
    with each chunk.
    """
    chunks: list[Span] = []
    start_s: float | None = None
    opened_s = 0.0
    previous_s = 0.0
    for frame in frames:
        medical = frame.medical_probability > settings.min_probability
        if medical and start_s is None:
            start_s, opened_s = max(previous_s, frame.time_s - settings.chunk_s), frame.time_s
        elif start_s is not None and not medical:
            chunks.append(Span(start_s=start_s, end_s=frame.time_s))
            start_s = None
        elif start_s is not None and frame.time_s - opened_s > settings.chunk_s:
            chunks.append(Span(start_s=start_s, end_s=frame.time_s))
            start_s, opened_s = max(0.0, frame.time_s - settings.chunk_s), frame.time_s
        previous_s = frame.time_s
    if start_s is not None:
        chunks.append(Span(start_s=start_s, end_s=frames[-1].until_s))
    return chunks


def split_long(span: Span, words: Sequence[Word], settings: ClipSettings) -> list[Span]:
    """Pieces of `min_piece_s` to `max_clip_s` that end where a sentence ends, if the span is longer than `max_clip_s`.

    Each cut is the last sentence end that leaves both sides long enough; without one, the span is cut at the limit.
    """
    pieces: list[Span] = []
    start_s = span.start_s
    while span.end_s - start_s > settings.max_clip_s:
        earliest_s = start_s + settings.min_piece_s
        latest_s = min(start_s + settings.max_clip_s, span.end_s - settings.min_piece_s)
        ends = [w.end_s for w in words if w.text.rstrip().endswith((".", "?", "!")) and earliest_s <= w.end_s <= latest_s]
        cut_s = max(ends, default=latest_s)
        pieces.append(Span(start_s=start_s, end_s=cut_s))
        start_s = cut_s
    return [*pieces, Span(start_s=start_s, end_s=span.end_s)]


def words_between(words: Sequence[Word], start_s: float, end_s: float) -> list[Word]:
    """Words kept by the guard whose middle lies in the interval: each word belongs to one of two adjacent clips."""
    return [w for w in words if w.dropped is None and start_s <= (w.start_s + w.end_s) / 2 < end_s]


def make_clips(
    video_id: str,
    domain: Domain,
    frames: Sequence[FrameClass],
    words: Sequence[Word],
    stable: Sequence[StableInterval],
    settings: ClipSettings,
) -> tuple[Clip, ...]:
    """The video's clips in time order: each with at least `min_words` words, its pictures and the main one's trace."""
    segment = probability_runs if settings.segmenter == "probability_runs" else key_frame_chunks
    clips = []
    for run in segment(frames, settings):
        for piece in split_long(run, words, settings):
            spoken = words_between(words, piece.start_s, piece.end_s)
            if len(spoken) < settings.min_words:
                continue
            shown = shown_medically(stable, frames, piece, settings)
            clip = Clip(
                clip_id=f"{video_id}:{round(piece.start_s * 1000):09d}-{round(piece.end_s * 1000):09d}",
                start_s=piece.start_s,
                end_s=piece.end_s,
                domain=main_domain(frames, piece, domain),
                segmenter=settings.segmenter,
                raw_text=join_words(spoken),
                pictures=tuple(_shown(i) for i, _ in shown),
            )
            clips.append(with_picture(clip, representative(shown)))
    return tuple(clips)


def main_domain(frames: Sequence[FrameClass], span: Span, otherwise: Domain) -> Domain:
    """The medical domain seen longest in the span; the video's where none was."""
    seen: dict[Domain, float] = {}
    for frame in frames:
        if frame.domain is not Domain.NONMEDICAL:
            seen[frame.domain] = seen.get(frame.domain, 0.0) + _overlap_s(frame.time_s, frame.until_s, span)
    best = max(seen, key=lambda d: (seen[d], d), default=otherwise)
    return best if seen.get(best, 0.0) > 0 else otherwise


def _overlap_s(start_s: float, end_s: float, span: Span) -> float:
    return max(0.0, min(end_s, span.end_s) - max(start_s, span.start_s))


def shown_medically(
    stable: Sequence[StableInterval], frames: Sequence[FrameClass], span: Span, settings: ClipSettings
) -> list[tuple[StableInterval, float]]:
    """The intervals in the span during which the classifier saw medicine, and for how many seconds; in time order."""
    medical = [f for f in frames if f.medical_probability > settings.min_probability]
    shown = []
    for interval in stable:
        common = Span(start_s=max(span.start_s, interval.start_s), end_s=min(span.end_s, interval.end_s))
        if common.end_s > common.start_s:
            shown.append((interval, sum(_overlap_s(f.time_s, f.until_s, common) for f in medical)))
    return [(interval, seconds) for interval, seconds in shown if seconds > 0]


def representative(shown: Sequence[tuple[StableInterval, float]]) -> StableInterval | None:
    """The picture shown longest while the classifier saw medicine, the first among equals; medians before single frames."""
    best = max(shown, key=lambda s: (s[0].method == "median", s[1], -s[0].start_s), default=None)
    return best[0] if best else None


def _shown(interval: StableInterval) -> ShownPicture:
    return ShownPicture(
        start_s=interval.start_s,
        end_s=interval.end_s,
        image_id=interval.image_id,
        width=interval.width,
        height=interval.height,
        method=interval.method,
    )


def with_picture(clip: Clip, picture: StableInterval | None) -> Clip:
    """The clip with its image, and the part of the cursor's path that falls into both."""
    if picture is None:
        return clip
    trace = picture.trace.between(clip.start_s, clip.end_s)
    return dataclasses.replace(
        clip,
        image_id=picture.image_id,
        image_width=picture.width,
        image_height=picture.height,
        image_start_s=picture.start_s,
        image_end_s=picture.end_s,
        image_method=picture.method,
        trace=trace,
        box=bounding_box(trace),
    )


def bounding_box(trace: Sequence[TracePoint]) -> Box | None:
    """The smallest box around the points (published); None without points."""
    if not trace:
        return None
    xs, ys = [p.x for p in trace], [p.y for p in trace]
    return Box(x0=min(xs), y0=min(ys), x1=max(xs) + 1, y1=max(ys) + 1)
