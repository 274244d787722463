"""What makes one grounding film differ from the next: every factor is a field, and can be switched off."""

import math
from dataclasses import dataclass

import numpy as np

from pipelines.schema import Domain

DOMAINS = (Domain.CT, Domain.MRI, Domain.XRAY, Domain.HISTOPATHOLOGY, Domain.OPHTHALMOLOGY, Domain.ULTRASOUND)
CURSORS = ("white_arrow", "black_arrow", "crosshair", "hand", "laser", "highlight", None)
LEADS = ("over_cut", "lead_in", "trails")


@dataclass(frozen=True, slots=True, kw_only=True)
class Factors:
    """One film. Lengths in pixels of the video, times in seconds; None or False is off."""

    seed: int
    index: int
    domain: str
    size: tuple[int, int] = (854, 480)
    fps: float = 10.0
    vfr: bool = False
    """Frames at uneven spacings on half the grid of `fps`."""
    crf: int = 23
    preset: str = "superfast"
    cursor: str | None = None
    """One of `CURSORS`; None is a film without any, in which nothing is pointed at."""
    cursor_px: float = 20.0
    jitter_px: float = 0.0
    """Amplitude of the hand's tremor."""
    gesture: str | None = None
    """`circles`, `to_and_fro` or `underline`, within the region."""
    idle: bool = False
    """It rests 10 s or more on or beside what it showed last, while the talk goes on."""
    leaves: bool = False
    """It goes off the picture's edge between two regions."""
    hides: bool = False
    """It vanishes some seconds after its last movement and reappears with the next."""
    ink: bool = False
    """Outlines drawn around regions, which stay to the scene's end."""
    speaker: str | None = None
    """A talking head: `stays` in its corner, or `moves` to another at each scene."""
    inset_fps: float | None = None
    """A small film within the film, and its own frame rate."""
    builds: bool = False
    """Slides whose lines appear one by one."""
    caret: bool = False
    """A blinking text caret on slides."""
    fade_s: float | None = None
    """Length of the cross-dissolves that stand in place of some cuts."""
    viewer: bool = False
    """A scene of holds, pans and zooms."""
    scroll_s: float | None = None
    """A scene that runs through slices, and the time between two; only of CT and MRI."""
    moving: bool = False
    """A scene whose picture moves all the time; only of ultrasound (a beating heart) and histopathology (the stage)."""
    clock: bool = False
    """A clock in a corner that ticks each second."""
    noise: float | None = None
    """Standard deviation of a camera's noise, grey levels."""
    captions: bool = False
    """The spoken words burnt in at the bottom."""
    lead: str | None = None
    """Speech against the cuts, one of `LEADS`: the next picture's first sentence begins before it, is wholly before it,
    or the last picture's last sentence ends after it."""


def _spread(seed: int, index: int, prime: int) -> float:
    """In 0..1: evenly spread over consecutive indices, and independently so for each prime (Kronecker's sequence)."""
    start = np.random.default_rng([seed, prime]).random()
    return float((start + index * math.sqrt(prime)) % 1.0)


def _turn(seed: int, index: int, values: tuple, prime: int) -> object:
    """Each value once in as many consecutive indices as there are values."""
    order = np.random.default_rng([seed, prime]).permutation(len(values))
    return values[order[index % len(values)]]


def factors(seed: int, index: int) -> Factors:
    """The film's factors: ten consecutive indices meet all domains and cursors, sixty everything several times."""

    def spread(prime: int) -> float:
        return _spread(seed, index, prime)

    def one_of(prime: int, *values):
        return values[int(spread(prime) * len(values))]

    domain = str(_turn(seed, index, DOMAINS, 2))
    cursor = _turn(seed, index, CURSORS, 3)
    wide = spread(5)
    size = (854, 480) if wide < 0.35 else (1280, 720) if wide < 0.75 else (1920, 1080)
    least, most = {"laser": (6, 24), "highlight": (28, 48), "crosshair": (9, 40), "hand": (12, 40)}.get(cursor, (6, 36))
    noise = round(0.5 + 3.5 * spread(101), 1) if spread(103) < 0.5 else None
    fps = one_of(7, 5.0, 8.0, 10.0, 12.0, 15.0, 20.0, 24.0, 25.0, 29.97, 30.0)
    return Factors(
        seed=seed,
        index=index,
        domain=domain,
        size=size,
        fps=fps,
        vfr=spread(11) < 0.3 and fps >= 8,
        crf=max(18 + int(18 * spread(13)), round(20 + 1.6 * noise) if noise else 0),  # or the noise alone takes 20 Mbit/s
        preset=one_of(19, "superfast", "superfast", "veryfast", "veryfast", "medium") if size[1] < 1080 else "superfast",
        cursor=cursor,
        cursor_px=round(least * (most / least) ** spread(21), 1),
        jitter_px=0.0 if cursor is None else round(2.2 * size[1] / 720 * max(0.0, spread(22) - 0.3), 2),
        gesture=None if cursor is None else one_of(23, "circles", "to_and_fro", "underline", None),
        idle=cursor is not None and spread(29) < 0.4,
        leaves=cursor is not None and spread(31) < 0.3,
        hides=cursor is not None and spread(33) < 0.3,
        ink=cursor is not None and spread(43) < 0.35,
        speaker=one_of(47, "stays", "moves", None, "stays", None),
        inset_fps=one_of(53, None, 10.0, None, 15.0, None, None, 25.0, None),
        builds=spread(57) < 0.5,
        caret=spread(61) < 0.4,
        fade_s=round(0.4 + 0.8 * spread(67), 2) if spread(71) < 0.4 else None,
        viewer=spread(73) < 0.4,
        scroll_s=round(0.15 + 0.25 * spread(79), 2) if domain in (Domain.CT, Domain.MRI) and spread(83) < 0.6 else None,
        moving=domain == Domain.ULTRASOUND or (domain == Domain.HISTOPATHOLOGY and spread(89) < 0.5),
        clock=spread(97) < 0.3,
        noise=noise,
        captions=spread(107) < 0.3,
        lead=LEADS[int(spread(109) * 9)] if spread(109) < 1 / 3 else None,
    )
