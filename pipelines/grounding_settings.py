"""Settings of what is seen and pointed at: scenes, rests, pictures, cursor traces, episodes, alignment.

Nearly all of these numbers are used but unpublished in the systems that Preceptor follows; each says how it was chosen.
"""

from dataclasses import dataclass

from pipelines.checks import positive, share
from pipelines.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class LookSettings:
    """The full pass: scenes, resting intervals, images and cursor traces."""

    analysis_width_px: int = 480
    """Width of the reduced luma that scenes and rest are found on."""
    trace_width_px: int = 1280
    """The cursor is traced on luma halved until it is at most this wide: a cursor of 5 px at 1080p stays visible."""
    sample_fps: float = 10.0
    """Cursor and rest are sampled at this rate (or the video's, if lower)."""
    static_threshold: float = 6.0
    """Mean absolute luma change, grey levels, that cuts a scene in a static domain (score detector)."""
    adaptive_ratio: float = 3.0
    """A cut in a moving domain exceeds this many times its neighbourhood's mean (PySceneDetect's default)."""
    adaptive_window_s: float = 1.0
    adaptive_min_content: float = 6.0
    """... and at least this change, grey levels."""
    min_scene_s: float = 1.0
    min_stable_s: float = 3.0
    """Published: a static chunk lasts at least 3 s."""
    window_s: float = 12.0
    """The temporal median looks at no more than this much video: memory does not grow with length."""
    frame_interval_s: float = 0.5
    """One frame per half second goes to the classifier (published: 2 FPS), near-duplicates share one answer."""
    max_frames: int = 600
    """Bounds what the classifier sees of one long video; the interval grows to match."""
    max_images: int = 64
    """Pictures kept per video."""
    image_quality: int = 95
    """JPEG quality of stored pictures (chroma not subsampled): below one grey level of error on average."""

    def __post_init__(self) -> None:
        for name in ("analysis_width_px", "trace_width_px", "sample_fps", "static_threshold", "adaptive_ratio", "window_s",
                     "min_stable_s", "frame_interval_s", "max_frames", "max_images"):  # fmt: skip
            positive(f"look.{name}", getattr(self, name))
        if not 1 <= self.image_quality <= 100:
            raise UsageError(f"look.image_quality must lie between 1 and 100, not {self.image_quality}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class PointingSettings:
    """Traces to pointing episodes, and sentences to pictures and episodes."""

    max_gap_s: float = 1.0
    """A cursor that was not seen for longer has left; what follows is another stretch."""
    dwell_spread_share: float = 0.06
    """Spread of the samples around one place, share of the picture's height: gestures over a fifth of it."""
    dwell_penalty: float = 15.0
    """A further place must explain this much: two places a quarter of the height apart for two seconds do."""
    min_dwell_s: float = 0.6
    """Fixations of a hand on one thing last 0.5 s and more; shorter ones are on the way."""
    min_moving_share: float = 0.15
    """A cursor that moves for less of the time lies idle, unless it came for the words ..."""
    arrival_s: float = 1.5
    """... that is, so near to the beginning of a sentence."""
    before_s: float = 0.4
    """Hands arrive a little before the words ..."""
    after_s: float = 0.3
    """... and leave a little after."""
    box_scale: float = 1.67
    """The box reaches this many times as far as the gestures in it: hands stay inside what they show ..."""
    border_scale: float = 1.05
    """... but for a border that is drawn around it."""
    box_trim: float = 4.0
    """Percent of the samples that may lie outside: the last bit of the way."""
    box_line: float = 0.25
    """Gestures whose one reach is less than this share of the other go along a line: to and fro tells nothing of the height;
    of 0.2 to 0.35 the best mean over gestures on other seeds."""
    box_flatness: float = 0.9
    """... the shorter edge is then this share of the longer: what is pointed at is about as high as wide."""
    still_share: float = 0.02
    """A hand that moves less than this share of the picture's height only trembles: its box is an ordinary one ..."""
    still_box_width: float = 0.27
    still_box_height: float = 0.22
    """... of this size, shares of the picture's height: the medians of what lectures on other seeds point at."""
    min_box_points: int = 8
    """With fewer samples under a sentence, the whole stay draws the box."""
    lead_s: float = 1.5
    """A sentence that ends so shortly before a picture may introduce it ..."""
    lag_s: float = 1.0
    """... and one that begins so shortly after may still speak of the former (published: "before or slightly after")."""
    cue_weight: float = 1.2
    """What "next" or "now let us" at the head of a sentence says for the picture that follows it."""
    keyword_weight: float = 1.0
    """What the likeness of keywords says, beside the share of words spoken while the picture was on show."""
    also_share: float = 0.3
    """A picture on show for this share of a sentence's words gets a further link."""

    def __post_init__(self) -> None:
        for name in ("max_gap_s", "dwell_spread_share", "dwell_penalty", "min_dwell_s", "box_scale", "border_scale",
                     "still_box_width", "still_box_height", "min_box_points"):  # fmt: skip
            positive(f"pointing.{name}", getattr(self, name))
        for name in ("min_moving_share", "box_line", "box_flatness", "still_share", "also_share"):
            share(f"pointing.{name}", getattr(self, name))
        if not 0 <= self.box_trim < 50:
            raise UsageError(f"pointing.box_trim must be at least 0 and below 50, not {self.box_trim}.")
