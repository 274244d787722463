"""What travels between stages: one video's row so far, and the small frames that the next classifier will look at."""

import dataclasses
from dataclasses import dataclass

import msgspec

from pipelines.errors import RowError
from pipelines.schema import Status, Video


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A small frame (JPEG) that stands for the time from `time_s` to `until_s`."""

    time_s: float
    until_s: float
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


def pack(job: Job) -> bytes:
    """The job as one binary value: Ray sees a single typed column, whatever the row holds."""
    return msgspec.msgpack.encode(job)


def unpack(data: bytes) -> Job:
    """The inverse of `pack`."""
    return msgspec.msgpack.decode(data, type=Job)
