"""All settings, as frozen dataclasses validated at birth. Recipes make them; `--set a.b=value` changes one.

Numbers marked "published" are those of OpenBiomedVid, Quilt-1M or MedicalNarratives. The others were not published by
anyone: each says in a line how it was chosen.
"""

import math
from dataclasses import dataclass, field

from pipelines.checks import positive, share
from pipelines.errors import UsageError
from pipelines.grounding_settings import LookSettings as LookSettings
from pipelines.grounding_settings import PointingSettings as PointingSettings
from pipelines.resources import Resources
from pipelines.schema import Domain


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeSettings:
    """Limits on the container (published: 1 minute < duration < 2 hours)."""

    min_duration_s: float = 60.0
    max_duration_s: float = 7200.0

    def __post_init__(self) -> None:
        positive("probe.max_duration_s", self.max_duration_s)
        if not 0 <= self.min_duration_s < self.max_duration_s:
            raise UsageError(f"probe.min_duration_s must lie between 0 and the maximum, not {self.min_duration_s}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechSettings:
    """Speech presence by Silero VAD."""

    vad_threshold: float = 0.5
    """Silero's own default."""
    min_share: float = 0.05
    """Below this share of the audio the video has no speech: music and noise films measured 0 to 0.01, lectures 0.6 up."""

    def __post_init__(self) -> None:
        share("speech.vad_threshold", self.vad_threshold)
        share("speech.min_share", self.min_share)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenSettings:
    """Screening frames: the codec's key frames, thinned to one per `interval_s`, with seeks where there are too few."""

    interval_s: float = 5.0
    """One slide rarely stays under 5 s; x264 places a key frame at least every 8.3 s at 30 fps."""
    max_gap_s: float = 12.0
    """Where key frames are further apart than this, the reference frames between them are decoded too."""
    max_frames: int = 1440
    """Bounds time on very long videos; 2 hours at one frame per 5 s. Sparser frames could not show rest."""
    max_classified: int = 360
    """Of them, evenly spread, are classified: the thresholds are shares, and of 360 frames a share is known to a few
    percent. A two-hour video then weighs little more than one of half an hour."""
    longest_edge_px: int = 256
    """What the frame classifiers look at."""

    def __post_init__(self) -> None:
        positive("screen.interval_s", self.interval_s)
        positive("screen.max_frames", self.max_frames)
        positive("screen.max_classified", self.max_classified)
        positive("screen.longest_edge_px", self.longest_edge_px)
        positive("screen.max_gap_s", self.max_gap_s)


PUBLISHED_DOMAIN_SHARES = {
    Domain.CT: 0.10,
    Domain.XRAY: 0.10,
    Domain.MRI: 0.05,
    Domain.DERMATOLOGY: 0.30,
    Domain.DENTISTRY: 0.30,
    Domain.ENDOSCOPY: 0.50,
    Domain.SURGERY: 0.50,
    Domain.ULTRASOUND: 0.40,
    Domain.OPHTHALMOLOGY: 0.35,
    Domain.MAMMOGRAPHY: 0.25,
    Domain.ILLUSTRATION: 0.20,
    Domain.HISTOPATHOLOGY: 0.20,
}
"""Share of key frames that makes a video of the domain: MedicalNarratives, table 3. Histopathology is not listed there
(inherited from Quilt, unpublished): 0.20, the middle of the listed static and moving domains."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifierSettings:
    """Which frame classifier, and when its frames make a video medical."""

    kind: str = "starter"
    """`starter` (EfficientNet-Lite0 and the shipped head), `transformers` (any AutoModelForImageClassification) or
    `open_clip` (zero-shot with the published templates)."""
    model: str = ""
    """For `starter`: a head file other than the shipped one. Otherwise a hub name or a folder."""
    min_probability: float = 0.64
    """A frame is medical above this (published: p > 0.64 of OpenBiomedVid's biomedical-or-not classifier) ..."""
    min_domain_probability: float = 0.5
    """... and counts for its domain above this: that domain rather than all other classes together, which is what the
    binary classifier a domain of MedicalNarratives decides."""
    domain_shares: dict[Domain, float] = field(default_factory=lambda: dict(PUBLISHED_DOMAIN_SHARES))

    def __post_init__(self) -> None:
        if self.kind not in ("starter", "transformers", "open_clip"):
            raise UsageError(f"classifier.kind must be starter, transformers or open_clip, not '{self.kind}'.")
        if self.kind != "starter" and not self.model:
            raise UsageError(f"classifier.model must name a model when classifier.kind is {self.kind}.")
        share("classifier.min_probability", self.min_probability)
        share("classifier.min_domain_probability", self.min_domain_probability)
        for domain, least in self.domain_shares.items():
            share(f"classifier.domain_shares.{domain}", least)


@dataclass(frozen=True, slots=True, kw_only=True)
class NarrativeSettings:
    """Does somebody explain the pictures? MedicalNarratives, section 7.3, its body text's version."""

    streak_length: int = 3
    """A static medical frame followed by this many similar samples is a streak (published) ..."""
    streak_interval_s: float = 2.5
    """... taken this far apart: published on key frames of a threshold nobody published; 3 x 2.5 s is one explained view."""
    streak_similarity: float = 0.9
    """Cosine similarity that counts as similar (published); here of mean-free 32 x 32 luma, the embedding is unpublished."""
    min_streak_share: float = 0.2
    """Share of static medical frames that start a streak. Unpublished; a fly-through without rest measured 0, rendered
    lectures 0.5 and more."""
    min_speech_s: float = 3.0
    """Seconds of speech around a moving medical run for it to count. Unpublished; one short spoken sentence."""
    min_spoken_share: float = 0.5
    """Share of moving medical frames in such runs must exceed this (published: more than half)."""

    def __post_init__(self) -> None:
        positive("narrative.streak_length", self.streak_length)
        positive("narrative.streak_interval_s", self.streak_interval_s)
        share("narrative.streak_similarity", self.streak_similarity)
        share("narrative.min_streak_share", self.min_streak_share)
        share("narrative.min_spoken_share", self.min_spoken_share)


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptSettings:
    """Speech to words with times (faster-whisper)."""

    model: str = "starter"
    """`starter` is Whisper tiny.en from its package; otherwise a CTranslate2 model name or folder."""
    task: str = "transcribe"
    """`translate` gives English for other languages, as OpenBiomedVid did."""
    language: str | None = "en"
    """None detects it."""
    window_s: float = 300.0
    """Audio decoded and transcribed at a time, cut in a pause: memory does not grow with length."""
    beam_size: int = 1
    """Greedy: the same words whatever the machine does; a beam gained nothing measurable with tiny.en."""
    compute_type: str = "int8"
    max_no_speech_probability: float = 0.6
    """A segment above it, with low log-probability, is dropped (Whisper's own rule)."""
    min_log_probability: float = -1.0
    """Whisper's own threshold."""
    max_compression_ratio: float = 2.4
    """A segment that compresses better is repetition (Whisper's own threshold)."""
    max_outside_speech_s: float = 1.0
    """A word further than this from any detected speech was invented."""

    def __post_init__(self) -> None:
        if self.task not in ("transcribe", "translate"):
            raise UsageError(f"transcript.task must be transcribe or translate, not '{self.task}'.")
        if self.window_s < 30:
            raise UsageError(f"transcript.window_s must be at least 30, not {self.window_s}.")
        if self.task == "translate" and (self.model == "starter" or self.language == "en"):
            need = "a multilingual transcript.model, and a transcript.language other than en (none detects it)"
            raise UsageError(f"transcript.task=translate needs {need}.")
        positive("transcript.beam_size", self.beam_size)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipSettings:
    """Where clips begin and end."""

    segmenter: str = "probability_runs"
    """`probability_runs` (OpenBiomedVid) or `key_frame_chunks` (Quilt-1M)."""
    min_probability: float = 0.64
    """Published: p > 0.64."""
    max_gap_s: float = 5.0
    """Published: ten negative samples at 2 FPS are bridged."""
    buffer_s: float = 0.0
    chunk_s: float = 20.0
    """`pair_chunk_time` of the key-frame chunker. Published as per video and unpublished in value; about 50 words."""
    max_clip_s: float = 300.0
    """A longer clip is split at sentence ends (published) ..."""
    min_piece_s: float = 120.0
    """... into pieces of at least this long (published: 120 to 300 s)."""
    min_words: int = 10
    """Fewer words make no clip (published)."""

    def __post_init__(self) -> None:
        if self.segmenter not in ("probability_runs", "key_frame_chunks"):
            raise UsageError(f"clips.segmenter must be probability_runs or key_frame_chunks, not '{self.segmenter}'.")
        share("clips.min_probability", self.min_probability)
        if not 0 <= self.max_gap_s < math.inf:
            raise UsageError(f"clips.max_gap_s must be a number of at least 0, not {self.max_gap_s}.")
        if not 0 < 2 * self.min_piece_s <= self.max_clip_s:
            raise UsageError("clips.min_piece_s must be at most half of clips.max_clip_s, or no split is possible.")


@dataclass(frozen=True, slots=True, kw_only=True)
class TextSettings:
    """Correction, captions and decisions."""

    engine: str = "vllm"
    """`vllm` in an actor pool, or `openai` for any OpenAI-compatible address."""
    model: str = "starter"
    """`starter` is SmolLM2-135M-Instruct from its package; else a hub name or folder (vllm), or a model name (openai)."""
    base_url: str = ""
    """Address of the OpenAI-compatible server; its key comes from the environment variable PRECEPTOR_TEXT_API_KEY."""
    dtype: str = "float32"
    """float32 gives the same text however a batch is composed; bfloat16 did not."""
    max_model_len: int = 2048
    max_text_chars: int = 300
    """Upper bound on each generated text; what is longer is a failure of that text, not a text."""
    min_support: float = 0.8
    """Share of a model text's content words that the transcript must contain for the text to be taken."""
    vocabulary: str = ""
    """A file of further medical terms, one a line (a UMLS export): added to the shipped MeSH and abstract words."""
    correction_min_similarity: float = 0.8
    """How alike a replacement must sound and be spelled (0 to 1)."""

    def __post_init__(self) -> None:
        if self.engine not in ("vllm", "openai"):
            raise UsageError(f"text.engine must be vllm or openai, not '{self.engine}'.")
        if self.engine == "openai" and not self.base_url:
            raise UsageError("text.base_url must be set when text.engine is openai.")
        if any(mark in self.base_url for mark in "@?"):  # it is saved with the dataset
            raise UsageError("text.base_url must carry no key; put it into PRECEPTOR_TEXT_API_KEY.")
        if self.dtype not in ("auto", "float32", "float16", "bfloat16"):
            raise UsageError(f"text.dtype must be auto, float32, float16 or bfloat16, not '{self.dtype}'.")
        positive("text.max_model_len", self.max_model_len)
        positive("text.max_text_chars", self.max_text_chars)
        share("text.min_support", self.min_support)
        share("text.correction_min_similarity", self.correction_min_similarity)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A whole run."""

    recipe: str
    probe: ProbeSettings = ProbeSettings()
    speech: SpeechSettings = SpeechSettings()
    screen: ScreenSettings = ScreenSettings()
    classifier: ClassifierSettings = field(default_factory=ClassifierSettings)
    narrative: NarrativeSettings = NarrativeSettings()
    look: LookSettings = LookSettings()
    transcript: TranscriptSettings = TranscriptSettings()
    clips: ClipSettings = ClipSettings()
    pointing: PointingSettings = PointingSettings()
    text: TextSettings = TextSettings()
    resources: Resources = Resources()
