"""What a decoder is asked and what it answers: msgpack structures, checked on arrival on both sides."""

import msgspec

from pipelines.config import Config, LookSettings
from pipelines.job import Sample
from pipelines.schema import Probe, Reason, Span, StableInterval
from pipelines.stages.uploads import UploadLimits


class ScreenRequest(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Probe, key frames and speech. Answered by `Probe`, then `Screened`."""

    uri: str
    config: Config


class LookRequest(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """One full decode; pictures are written to `out`. Answered by `Looked`."""

    uri: str
    video_id: str
    out: str
    static: bool
    settings: LookSettings
    until_s: float
    """The video's length: its sound may outlast its last frame."""


class AudioRequest(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Audio of each window. Answered by one `AudioWindow` each."""

    uri: str
    windows: tuple[Span, ...]


class PicturesRequest(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Uploaded pictures, checked and made plain. Answered by `Seen`."""

    pictures: tuple[bytes, ...]
    limits: UploadLimits
    as_frames: bool
    """They are frames of one film: reduced like a film's, and of one size."""


class FilmRequest(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """An uploaded film, sampled. Answered by `Probed`, then `Seen`."""

    uri: str
    limits: UploadLimits


Request = ScreenRequest | LookRequest | AudioRequest | PicturesRequest | FilmRequest


class Probed(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """The header has been read."""

    probe: Probe


class Screened(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """The cheap pass."""

    probe: Probe
    speech: tuple[Span, ...]
    audio_s: float
    frames: tuple[Sample, ...]


class Looked(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """The full pass."""

    scene_cuts_s: tuple[float, ...]
    intervals: tuple[StableInterval, ...]
    frames: tuple[Sample, ...]


class AudioWindow(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Int16 mono samples at 16 kHz from `start_s` on."""

    start_s: float
    pcm: bytes


class Seen(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Plain pictures: PNG, or JPEG where they come out of a film."""

    pictures: tuple[bytes, ...]
    interval_s: float = 0.0


class Done(msgspec.Struct, frozen=True, tag=True):
    """The request is answered in full."""


class Failed(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """The input's own fault ended the request."""

    reason: Reason
    detail: str


class Broken(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Something that every input needs is broken."""

    detail: str


Message = Probed | Screened | Looked | AudioWindow | Seen | Done | Failed | Broken
