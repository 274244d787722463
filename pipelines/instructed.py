"""Reading `DIR/instruct/*.parquet`: the questions and answers about a video."""

from collections import defaultdict
from itertools import groupby, pairwise

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from pipelines.errors import UsageError
from pipelines.instruct_schema import QuestionAnswer
from pipelines.store import Store


class Instructed:
    """The turns of a dataset by video. Holds one short entry a video; rows are read when they are asked for.

    Raises:
        UsageError: a file cannot be read, or has not the columns of `pipelines.instruct_schema`.
    """

    def __init__(self, out: str) -> None:
        self._store = Store(out)
        infos = self._store.fs.get_file_info(pafs.FileSelector(self._store.path("instruct"), allow_not_found=True))
        self._places: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
        self._read: tuple[tuple[str, int] | None, pa.Table] = (None, pa.table({}))
        for path in sorted(i.path for i in infos if i.type == pafs.FileType.File and i.path.endswith(".parquet")):
            try:
                with self._store.fs.open_input_file(path) as source:
                    file = pq.ParquetFile(source)
                    for group in range(file.num_row_groups):
                        for video_id in pc.unique(file.read_row_group(group, columns=["video_id"])["video_id"]).to_pylist():
                            self._places[video_id].append((path, group))
            except (pa.ArrowException, OSError, KeyError) as error:
                raise UsageError(f"{path} cannot be read: {error}") from error

    def video_ids(self) -> set[str]:
        """Of all videos that have turns."""
        return set(self._places)

    def of(self, video_id: str) -> list[QuestionAnswer]:
        """The video's turns, by clip, conversation and turn.

        Raises:
            UsageError: a row is not of this version, or stands twice in its conversation.
        """
        found = [turn for place in self._places.get(video_id, ()) for turn in self._rows(place, video_id)]
        found.sort(key=lambda t: (t.clip_id, t.conversation, t.turn))
        for one, two in pairwise(found):
            if (one.clip_id, one.conversation, one.turn) == (two.clip_id, two.conversation, two.turn):
                raise UsageError(f"'{one.question_id}' and '{two.question_id}' are the same turn of one conversation.")
        return found

    def conversations(self, video_id: str) -> dict[str, list[list[QuestionAnswer]]]:
        """By clip, the conversations about it."""
        by_clip: defaultdict[str, list[list[QuestionAnswer]]] = defaultdict(list)
        for (clip_id, _), turns in groupby(self.of(video_id), key=lambda t: (t.clip_id, t.conversation)):
            by_clip[clip_id].append(list(turns))
        return dict(by_clip)

    def _rows(self, place: tuple[str, int], video_id: str) -> list[QuestionAnswer]:
        path, group = place
        try:
            if self._read[0] != place:
                with self._store.fs.open_input_file(path) as source:
                    self._read = (place, pq.ParquetFile(source).read_row_group(group))
            table = self._read[1]
            rows = table.filter(pc.equal(table["video_id"], video_id)).to_pylist()
            return [msgspec.convert(row, QuestionAnswer) for row in rows]
        except (pa.ArrowException, OSError, msgspec.ValidationError) as error:
            raise UsageError(f"{path} cannot be read: {error}") from error
