"""The digest of a dataset: SHA-256 over what its rows say."""

import dataclasses
import hashlib
from collections.abc import Iterable

import msgspec

from pipelines.job import plain
from pipelines.schema import VIDEO_COLUMNS_VOLATILE, Video

_CONTENT = tuple(f.name for f in dataclasses.fields(Video) if f.name not in VIDEO_COLUMNS_VOLATILE)


def referenced_images(video: Video) -> frozenset[str]:
    """Ids of the pictures that the row speaks of."""
    return frozenset([s.image_id for s in video.stable] + [c.image_id for c in video.clips if c.image_id is not None])


class Digest:
    """SHA-256 over what the rows say: independent of files, order and the volatile columns."""

    def __init__(self) -> None:
        self._rows: list[tuple[str, bytes]] = []

    def add(self, video: Video, pictures: Iterable[str]) -> None:
        """Count a row and its pictures' ids in; a row that speaks of no picture has none, whatever lies about."""
        content = {name: getattr(video, name) for name in _CONTENT}
        stored = sorted(pictures) if referenced_images(video) else []
        encoded = msgspec.json.encode([content, stored], order="sorted", enc_hook=plain)
        self._rows.append((video.video_id, hashlib.sha256(encoded).digest()))

    def hexdigest(self) -> str:
        """The digest of all rows so far."""
        return hashlib.sha256(msgspec.json.encode(sorted(self._rows))).hexdigest()
