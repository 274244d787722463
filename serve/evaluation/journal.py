"""What a run has learnt so far, safe against SIGKILL and power cuts: one SQLite row per question.

A reply that still waits for the judge is kept too, so that no killed run asks a model twice for what it has said.
"""

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pyarrow.parquet as pq

from pipelines.arrow import arrow_table
from pipelines.errors import EnvironmentFault
from serve.evaluation.answer import COLUMNS, Answer

_PAGE = 256


class Journal:
    """`answers.sqlite` in the folder of a run."""

    def __init__(self, path: Path) -> None:
        try:
            self._database = sqlite3.connect(path)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=FULL")
            self._database.execute(
                "CREATE TABLE IF NOT EXISTS answers (question_id TEXT PRIMARY KEY, status TEXT NOT NULL, row BLOB NOT NULL)"
            )
        except sqlite3.Error as error:
            raise EnvironmentFault(f"{path} cannot be used: {error}.") from error

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def save(self, answer: Answer, *, waits: bool = False) -> None:
        """The question's row, in place of any earlier; `waits`: the judge has not spoken yet."""
        row = (answer.question_id, "waits" if waits else str(answer.status), msgspec.json.encode(answer))
        try:
            with self._database:
                self._database.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?)", row)
        except sqlite3.Error as error:
            raise EnvironmentFault(f"An answer could not be written: {error}.") from error

    def statuses(self) -> dict[str, str]:
        """By question: ok, unparsed, failed or waits."""
        return dict(self._database.execute("SELECT question_id, status FROM answers"))

    def answer(self, question_id: str) -> Answer | None:
        """The question's row."""
        found = self._database.execute("SELECT row FROM answers WHERE question_id = ?", (question_id,)).fetchone()
        return None if found is None else msgspec.json.decode(found[0], type=Answer)

    def write_results(self, path: Path, question_ids: Sequence[str]) -> int:
        """Write the finished rows of these questions in this order, whole or not at all; returns their number.

        What waits for the judge is not finished and gets no row.
        """
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        finished = {i for i, status in self.statuses().items() if status != "waits"}
        wanted = [i for i in question_ids if i in finished]
        with pq.ParquetWriter(temporary, COLUMNS, compression="zstd") as writer:
            for start in range(0, len(wanted), _PAGE):
                rows = [self.answer(i) for i in wanted[start : start + _PAGE]]
                writer.write_table(arrow_table(rows, Answer))
        temporary.replace(path)
        return len(wanted)
