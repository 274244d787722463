"""Every column of the dataset, and nothing else: frozen dataclasses from which `pipelines.arrow` derives the Arrow schema.

Times are seconds of the source video's clock, from presentation timestamps. Coordinates are pixels of the stored image,
origin top left; its width and height are stored beside them. `None` means "not known" or "not reached", never zero.
"""

import dataclasses
from dataclasses import dataclass, field

from pipelines.terms import MEDICAL_DOMAINS as MEDICAL_DOMAINS
from pipelines.terms import CursorState as CursorState
from pipelines.terms import Domain as Domain
from pipelines.terms import Reason as Reason
from pipelines.terms import Status as Status
from pipelines.terms import TextKind as TextKind
from pipelines.traces import Trace as Trace
from pipelines.traces import TracePoint as TracePoint

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """An interval of time, seconds."""

    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A rectangle in pixels of the stored image; `x1`, `y1` exclusive."""

    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What the container says, and what decoding showed of it. Sizes are upright: after rotation."""

    container: str
    duration_s: float
    video_codec: str | None = None
    audio_codec: str | None = None
    width: int | None = None
    height: int | None = None
    rotation_deg: int = 0
    mean_fps: float | None = None
    variable_frame_rate: bool | None = None
    truncated: bool = False
    """The file ends before the duration it announces; `duration_s` is what can be decoded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameClass:
    """What the classifier saw in one frame, valid from `time_s` to `until_s`."""

    time_s: float
    until_s: float
    domain: Domain
    """The most probable class."""
    probability: float
    """Of that class."""
    medical_probability: float
    """One minus the probability of non-medical."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """One transcribed word. `dropped` names the hallucination guard that removed it from the clips' text."""

    start_s: float
    end_s: float
    text: str
    probability: float
    sentence: int
    """Index of the transcript segment it came with."""
    dropped: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StableInterval:
    """A stretch in which the picture rests, its cursor-free image, and the cursor's path over it."""

    start_s: float
    end_s: float
    image_id: str
    method: str
    """`median` of the resting frames, or `key_frame` where nothing rests long enough; the trace is of what rests."""
    width: int
    height: int
    trace: Trace = Trace()


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """One replaced transcript word or phrase."""

    wrong: str
    right: str
    kind: str
    """`conditioned` (our checker flagged it) or `unconditioned` (the model found it)."""
    verified: bool
    """The replacement stands in the vocabulary; only verified ones are applied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelText:
    """A text and how it came to be. `text` is None where the field failed; `failure` then says why."""

    text: str | None
    source: str
    """`model`, or `transcript` where the model's text did not pass and the corrected transcript stands in."""
    model: str
    prompt: str
    """Name and version of the prompt file."""
    support: float | None = None
    """Share of the model text's content words that the transcript contains."""
    failure: str | None = None
    """`length`, `malformed`, `support`, `negation`, `number`, `side` or `empty`: why the model's text was not taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A decision among a closed set, and who made it: a model that passed the admission probe, or the rules."""

    value: str
    decided_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownPicture:
    """A picture of the clip and when it was on show. One picture may be shown several times."""

    start_s: float
    end_s: float
    image_id: str
    width: int
    height: int
    method: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """One act of pointing: the cursor stays within one region of one picture. A cursor that merely lies idle is none."""

    start_s: float
    end_s: float
    picture: int
    """Index among the clip's `pictures`."""
    box: Box
    points: int
    """Trace samples inside."""
    confidence: float
    """Mean of the samples'."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """Ties one sentence to one picture: a sentence may have several links, and a picture and an episode several too."""

    kind: TextKind
    text: str
    start_s: float
    end_s: float
    picture: int
    """Index among the clip's `pictures`."""
    episode: int | None
    """Index among the clip's `episodes`: the pointing that comes with the words."""
    time_share: float
    """Share of the sentence's words spoken while the picture was on show."""
    keyword_share: float
    """Likeness (cosine, 0 to 1) of its keywords and those of what else is said of the picture."""
    main: bool
    """The picture that it speaks of, rather than one that it merely overlaps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """One stretch of the video with its picture, its words and where the cursor pointed."""

    clip_id: str
    start_s: float
    end_s: float
    domain: Domain
    segmenter: str
    raw_text: str
    image_id: str | None = None
    image_width: int | None = None
    image_height: int | None = None
    image_start_s: float | None = None
    image_end_s: float | None = None
    image_method: str | None = None
    trace: Trace = Trace()
    box: Box | None = None
    pictures: tuple[ShownPicture, ...] = ()
    """All that were on show, in time order; `image_id` is the representative one, `trace` and `box` are over it."""
    episodes: tuple[Episode, ...] = ()
    links: tuple[Link, ...] = ()
    corrected_text: str | None = None
    corrections: tuple[Correction, ...] = ()
    correction_failure: str | None = None
    """Why an admitted model proposed none, where it did not answer."""
    caption: ModelText | None = None
    medical_text: ModelText | None = None
    roi_text: ModelText | None = None
    relevant: Choice | None = None
    modality: Choice | None = None
    region: Choice | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTime:
    """How long one stage took for this row, wall-clock seconds."""

    stage: str
    seconds: float


VOLATILE = {"volatile": True}
"""Field metadata: may differ between two equal runs, so digests leave it out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Video:
    """One input, from the manifest to its row in the dataset."""

    video_id: str
    uri: str
    attempt: int = field(default=1, metadata=VOLATILE)
    extra: str = "{}"
    """The manifest's further columns, as JSON."""
    content_id: str | None = None
    """Size and sampled hash, or size and ETag, of the source; None where it could not be read."""
    fingerprint: str = ""
    status: Status = Status.OK
    stage: str | None = None
    """The stage that rejected or failed it."""
    reason: Reason | None = None
    detail: str | None = None
    probe: Probe | None = None
    speech: tuple[Span, ...] = ()
    speech_share: float | None = None
    first_minute_speech_s: float | None = None
    classifier: str | None = None
    screen_frames: tuple[FrameClass, ...] = ()
    domain: Domain | None = None
    domain_share: float | None = None
    """Share of the screening frames of that domain."""
    narrative_share: float | None = None
    scene_cuts_s: tuple[float, ...] = ()
    stable: tuple[StableInterval, ...] = ()
    frames: tuple[FrameClass, ...] = ()
    """Classes of the sampled frames of the full pass."""
    transcriber: str | None = None
    language: str | None = None
    words: tuple[Word, ...] = ()
    clips: tuple[Clip, ...] = ()
    stage_times: tuple[StageTime, ...] = field(default=(), metadata=VOLATILE)
    host: str | None = field(default=None, metadata=VOLATILE)
    finished_at: str | None = field(default=None, metadata=VOLATILE)

    @property
    def row_id(self) -> str:
        """Unique per attempt: what Ray's checkpoint commits."""
        return f"{self.video_id}#{self.attempt}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One row of `images/<video_id>.parquet`."""

    image_id: str
    """SHA-256 of `data`."""
    video_id: str
    start_s: float
    end_s: float
    width: int
    height: int
    format: str
    data: bytes


VIDEO_COLUMNS_VOLATILE = frozenset(f.name for f in dataclasses.fields(Video) if f.metadata.get("volatile"))
