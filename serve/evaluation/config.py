"""All settings of an evaluation, validated at birth; `--set key=value` changes one."""

import math
from dataclasses import dataclass
from enum import StrEnum

from pipelines.errors import UsageError
from pipelines.settings import all_settings
from pipelines.split import HELD_OUT_SHARE


class Condition(StrEnum):
    """What the model sees beside the words."""

    SHOWN = "shown"
    BLIND = "blind"
    """Nothing."""
    SHUFFLED = "shuffled"
    """Another question's picture."""


class OpenScore(StrEnum):
    """What counts as the score of an open answer."""

    AUTO = "auto"
    """The judge where one is given, else `exact`."""
    EXACT = "exact"
    F1 = "f1"
    RECALL = "recall"
    JUDGE = "judge"


class Film(StrEnum):
    """How a film is sent."""

    MP4 = "mp4"
    FRAMES = "frames"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Defaults: greedy replies, films whole."""

    max_tokens: int = 0
    """Of a reply; 0: what suits the benchmark."""
    temperature: float = 0.0
    seed: int = 0
    """Of the server's sampling, of the shuffled pictures, of held-out options and of the bootstrap."""
    video: Film = Film.MP4
    frame_rate: float = 1.0
    """Frames a second, where a film is sent as frames (published by OpenBiomedVid and ViDRiP: 1)."""
    max_frames: int = 32
    """Longer films are sampled evenly (published by ViDRiP: 32)."""
    max_edge_px: int = 0
    """Longer edge of pictures and frames; 0: as they are."""
    max_media_mb: float = 64.0
    """Of one file, before encoding."""
    open_score: OpenScore = OpenScore.AUTO
    language: str = "en"
    """Of SLAKE's questions: en, zh or all."""
    held_out_share: float = HELD_OUT_SHARE
    """Of a dataset's videos: questions are asked about these; 1 asks about all."""
    groups: tuple[str, ...] = ()
    """Ask only the questions of these groups, as the table names them; empty: all."""
    timeout_s: float = 300.0
    max_retries: int = 6
    """Of a request: on 408, 409, 429, 5xx and broken connections, with back-off, as Retry-After asks up to two minutes."""
    judge_tries: int = 3
    """How often the judge is asked for a reply of the right form."""
    stop_after: int = 20
    """So many questions in a row that fail by the server's fault stop the run."""
    resamples: int = 5000
    confidence: float = 0.95

    def __post_init__(self) -> None:
        for name in ("frame_rate", "max_media_mb", "timeout_s"):
            if not 0 < getattr(self, name) < math.inf:
                raise UsageError(f"{name} must be a number greater than 0, not {getattr(self, name)}.")
        for name in ("max_frames", "judge_tries", "stop_after"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be at least 1, not {getattr(self, name)}.")
        for name in ("max_tokens", "temperature", "max_edge_px", "max_retries"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UsageError(f"{name} must not be negative, it is {getattr(self, name)}.")
        if not 0 < self.held_out_share <= 1:
            raise UsageError(f"held_out_share must lie above 0 and at most at 1, not {self.held_out_share}.")
        if not 0 < self.confidence < 1:
            raise UsageError(f"confidence must lie between 0 and 1, not {self.confidence}.")
        if self.resamples < 100:
            raise UsageError(f"resamples must be at least 100, not {self.resamples}.")
        if self.language not in ("en", "zh", "all"):
            raise UsageError(f"language is en, zh or all, not '{self.language}'.")


_OF_THE_RUN = frozenset({"timeout_s", "max_retries", "judge_tries", "stop_after", "resamples", "confidence", "groups"})
"""Settings that change how a run goes, and no row; what is asked is told by the questions' own digest."""


def row_settings(settings: Settings) -> dict[str, str]:
    """The settings that change rows, flat."""
    return {k: v for k, v in all_settings(settings).items() if k not in _OF_THE_RUN}
