"""What must hold for `DIR/instruct`: every turn is about a clip that is there, has an id of its own, and none is lost."""

import hashlib
from collections.abc import Collection

from pipelines import instruct_file
from pipelines.errors import UsageError
from pipelines.instructed import Instructed
from pipelines.schema import Clip, Status


class TurnsAudit:
    """Fed video by video; keeps eight bytes a turn, and a line for each thing that is wrong."""

    def __init__(self, out: str) -> None:
        self._out, self.turns, self.broken = out, 0, list[str]()
        self._ids: set[bytes] = set()
        self._seen: set[str] = set()
        self._instructed: Instructed | None = None
        try:
            self._instructed, self._committed = Instructed(out), instruct_file.committed(out)
        except UsageError as error:
            self.broken.append(str(error))

    def add(self, video_id: str, row_id: str, status: Status, clips: Collection[Clip]) -> None:
        """Check the video's turns."""
        self._seen.add(video_id)
        if self._instructed is None:
            return
        try:
            turns = self._instructed.of(video_id)
        except (UsageError, ValueError) as error:
            self.broken.append(f"{video_id}: {error}")
            return
        known = {clip.clip_id for clip in clips} if status is Status.OK else set()
        for turn in turns:
            if turn.clip_id not in known:
                self.broken.append(f"{turn.question_id} is about {turn.clip_id}, which is no clip of an accepted video")
            digest = hashlib.blake2b(turn.question_id.encode(), digest_size=8).digest()
            if digest in self._ids:
                self.broken.append(f"{turn.question_id} is the id of two turns")
            self._ids.add(digest)
        self.turns += len(turns)
        made_from, made = self._committed.get(instruct_file.file_name(video_id), (row_id, None))
        if made_from != row_id:
            self.broken.append(f"{video_id}: made from {made_from}, whose row is no longer the newest (run instruct again)")
        elif made is not None and made != instruct_file.accounted(self._out, video_id):
            self.broken.append(f"{video_id}: {made} turns were made, but not as many were kept or dropped")

    def finish(self) -> tuple[str, ...]:
        """All that is wrong, also turns about videos without a row."""
        strangers = self._instructed.video_ids() - self._seen if self._instructed else set()
        return tuple(sorted([*self.broken, *(f"turns about {v}, which has no row" for v in strangers)]))
