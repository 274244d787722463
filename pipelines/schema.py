"""Every column of the dataset, and nothing else: frozen dataclasses from which `pipelines.arrow` derives the Arrow schema.

Times are seconds of the source video's clock, from presentation timestamps. Coordinates are pixels of the stored image,
origin top left; its width and height are stored beside them. `None` means "not known" or "not reached", never zero.
"""

import dataclasses
from dataclasses import dataclass, field
from enum import StrEnum

SCHEMA_VERSION = 1


class Status(StrEnum):
    """What became of an input."""
    OK = "ok"
    REJECTED = "rejected"
    FAILED = "failed"


class Reason(StrEnum):
    """Why an input is not `ok`. The first group are decisions (rejected), the second faults (failed)."""

    NO_VIDEO = "no_video"
    NO_AUDIO = "no_audio"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    NO_SPEECH = "no_speech"
    NOT_MEDICAL = "not_medical"
    NOT_NARRATIVE = "not_narrative"
    NO_CLIPS = "no_clips"

    MISSING = "missing"
    UNREACHABLE = "unreachable"
    UNREADABLE = "unreadable"
    DECODER_CRASHED = "decoder_crashed"
    DEADLINE = "deadline"
    OUT_OF_MEMORY = "out_of_memory"
    ACTOR_DIED = "actor_died"
    STAGE_ERROR = "stage_error"

    @property
    def status(self) -> Status:
        """Rejected for a decision, failed for a fault."""
        return Status.REJECTED if self in _DECISIONS else Status.FAILED


_DECISIONS = frozenset({Reason.NO_VIDEO, Reason.NO_AUDIO, Reason.TOO_SHORT, Reason.TOO_LONG, Reason.NO_SPEECH,
                        Reason.NOT_MEDICAL, Reason.NOT_NARRATIVE, Reason.NO_CLIPS})  # fmt: skip


class Domain(StrEnum):
    """The twelve domains of MedicalNarratives (3.1), and the rest."""

    CT = "ct"
    MRI = "mri"
    XRAY = "xray"
    ULTRASOUND = "ultrasound"
    SURGERY = "surgery"
    ENDOSCOPY = "endoscopy"
    DENTISTRY = "dentistry"
    DERMATOLOGY = "dermatology"
    MAMMOGRAPHY = "mammography"
    OPHTHALMOLOGY = "ophthalmology"
    HISTOPATHOLOGY = "histopathology"
    ILLUSTRATION = "illustration"
    NONMEDICAL = "nonmedical"

    @property
    def is_static(self) -> bool:
        """CT, MRI and X-ray show still pictures; the others move (MedicalNarratives, section 7)."""
        return self in (Domain.CT, Domain.MRI, Domain.XRAY)


MEDICAL_DOMAINS = tuple(d for d in Domain if d is not Domain.NONMEDICAL)


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
class TracePoint:
    """One cursor sample. `confidence` 0 to 1."""

    time_s: float
    x: float
    y: float
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StableInterval:
    """A stretch in which the picture rests, its cursor-free image, and the cursor's path over it."""

    start_s: float
    end_s: float
    image_id: str
    method: str
    """`median` of the resting frames, or `key_frame` where nothing rests."""
    width: int
    height: int
    trace: tuple[TracePoint, ...] = ()


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
    trace: tuple[TracePoint, ...] = ()
    box: Box | None = None
    corrected_text: str | None = None
    corrections: tuple[Correction, ...] = ()
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
