"""The closed sets of the dataset: what became of an input and why, the domains, what the cursor does."""

from enum import StrEnum


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


class CursorState(StrEnum):
    """What the cursor does at a sample. Where it is absent there is no sample."""

    MOVING = "moving"
    RESTING = "resting"


class TextKind(StrEnum):
    """What a sentence speaks of: the whole picture, or the region that the cursor points at."""

    MEDICAL = "medical"
    ROI = "roi"
