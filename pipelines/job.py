"""What travels between stages: one video's row so far, and the small frames that the next classifier will look at."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from pipelines.errors import RowError
from pipelines.schema import Status, Trace, Video


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A small frame (JPEG) that stands for the time from `time_s` to `until_s`."""

    time_s: float
    until_s: float
    rested_s: float = 0.0
    """Of a screening frame: for how long the picture then rested, as far as the streak test looks."""
    jpeg: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One input on its way. `samples` are dropped as soon as they are classified: heavy bytes never travel far."""

    video: Video
    samples: tuple[Sample, ...] = ()

    @property
    def active(self) -> bool:
        """Whether later stages have anything to do."""
        return self.video.status is Status.OK

    def ended(self, stage: str, error: RowError) -> "Job":
        """The row as rejected or failed at `stage`; what is known so far stays in it."""
        known = error.known or self.video
        status, detail = error.reason.status, error.detail or None
        video = dataclasses.replace(known, status=status, stage=stage, reason=error.reason, detail=detail)
        return Job(video=video)


def to_bytes(message: object) -> bytes:
    """Msgpack; NumPy's numbers, which models and detectors return, become Python's."""
    return msgspec.msgpack.encode(message, enc_hook=plain)


def plain(value: object) -> object:
    """What msgspec cannot encode by itself, for its `enc_hook`."""
    if isinstance(value, Trace):
        return bytes(value)
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} cannot be sent")


def restored(kind: type, value: Any) -> Any:
    """The inverse of `plain`, for msgspec's `dec_hook`.

    Raises:
        ValueError: the bytes are no trace.
    """
    if kind is Trace and isinstance(value, bytes):
        return Trace.from_bytes(value)
    raise TypeError(f"{kind.__name__} cannot be read from {type(value).__name__}")


def pack(job: Job) -> bytes:
    """The job as one binary value: Ray sees a single typed column, whatever the row holds."""
    return to_bytes(job)


def unpack(data: bytes) -> Job:
    """The inverse of `pack`."""
    return _DECODER.decode(data)


# made once, at import: msgspec crashes when several threads meet a type for the first time
_DECODER = msgspec.msgpack.Decoder(Job, dec_hook=restored)
