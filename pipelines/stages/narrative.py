"""Which domain a video shows, and whether somebody explains it (MedicalNarratives 3.4.1, 7.3; thresholds in config)."""

from collections.abc import Sequence

import numpy as np

from pipelines.config import ClassifierSettings, NarrativeSettings
from pipelines.errors import RowError
from pipelines.schema import MEDICAL_DOMAINS, Domain, FrameClass, Reason, Span
from pipelines.stages.speech import overlap_s


def is_positive(frame: FrameClass, domain: Domain, settings: ClassifierSettings) -> bool:
    """Whether the frame counts for `domain`: medical by the published threshold, and rather this domain than any other."""
    return (
        frame.domain is domain
        and frame.medical_probability > settings.min_probability
        and frame.probability > settings.min_domain_probability
    )


def choose_domain(frames: Sequence[FrameClass], settings: ClassifierSettings) -> tuple[Domain, float]:
    """The domain with the largest share of the frames among those that reach their published threshold, and the share.

    Raises:
        RowError: `not_medical`, naming the domain that came nearest.
    """
    shares = {d: sum(is_positive(f, d, settings) for f in frames) / max(1, len(frames)) for d in MEDICAL_DOMAINS}
    passed = {d: s for d, s in shares.items() if s > 0 and s >= settings.domain_shares[d]}
    if not passed:
        best = max(shares, key=lambda d: shares[d])
        raise RowError(
            Reason.NOT_MEDICAL,
            f"nearest is {best} with {shares[best]:.0%} of {len(frames)} frames, "
            f"the limit is {settings.domain_shares[best]:.0%}",
        )
    domain = max(passed, key=lambda d: passed[d])
    return domain, passed[domain]


def thumbnail(rgb: np.ndarray) -> np.ndarray:
    """A mean-free 32 x 32 luma vector of length 1 (1024,): what the streak test compares."""
    import cv2

    small = cv2.resize(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), (32, 32), interpolation=cv2.INTER_AREA)
    vector = small.astype(np.float32).ravel()
    vector -= vector.mean()
    norm = float(np.linalg.norm(vector))
    return np.asarray(vector / norm) if norm > 0 else np.asarray(vector)


def rests_s(times_s: Sequence[float], thumbnails: Sequence[np.ndarray], settings: NarrativeSettings) -> list[float]:
    """For each frame, how long the picture rested after it; followed no longer than a streak needs.

    Rest is only believed between two frames that were both seen: a frame at t and one at t' alike (cosine) mean that the
    picture rested from t to t'. So sparse key frames cannot make a fly-through look still.
    """
    rests = []
    for i, start_s in enumerate(times_s):
        rested_s = 0.0
        for j in range(i + 1, len(times_s)):
            if float(thumbnails[i] @ thumbnails[j]) < settings.streak_similarity or rested_s >= _streak_s(settings):
                break
            rested_s = times_s[j] - start_s
        rests.append(rested_s)
    return rests


def streak_share(rested_s: Sequence[float], medical: Sequence[bool], settings: NarrativeSettings) -> float:
    """Share of medical frames after which the picture rests for `streak_length` samples of `streak_interval_s`."""
    streaks = sum(rest >= _streak_s(settings) for rest, counts in zip(rested_s, medical, strict=True) if counts)
    return streaks / max(1, sum(medical))


def _streak_s(settings: NarrativeSettings) -> float:
    return settings.streak_length * settings.streak_interval_s


def spoken_share(
    times_s: Sequence[float], medical: Sequence[bool], end_s: float, speech: tuple[Span, ...], settings: NarrativeSettings
) -> float:
    """Share of medical frames that lie in a run of medical frames with more than `min_speech_s` of speech."""
    spoken = 0
    bounds = [*times_s[1:], end_s]
    i = 0
    while i < len(times_s):
        j = i
        while j < len(times_s) and medical[j]:
            j += 1
        if j > i and overlap_s(speech, times_s[i], bounds[j - 1]) > settings.min_speech_s:
            spoken += j - i
        i = max(j, i + 1)
    return spoken / max(1, sum(medical))


def check_narrative(domain: Domain, share: float, settings: NarrativeSettings) -> None:
    """Reject what nobody explains.

    Raises:
        RowError: `not_narrative`.
    """
    limit = settings.min_streak_share if domain.is_static else settings.min_spoken_share
    if share < limit or (not domain.is_static and share == limit):
        test = "rest in a streak" if domain.is_static else "have speech around them"
        raise RowError(Reason.NOT_NARRATIVE, f"{share:.0%} of the {domain} frames {test}, the limit is {limit:.0%}")
