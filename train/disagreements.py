"""One self-contained page of the pictures where model and label differ most surely: for a person to check by eye.

File names and labels come from strangers: every one is escaped, and the page's own policy forbids any request and script.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.media import to_jpeg
from pipelines.report import environment
from pipelines.store import Store
from train.frame_data import read_picture
from train.frame_labels import HELD_OUT, Labelled
from train.frame_lesson import shown_to_model

MAX_SHOWN = 200
THUMBNAIL_PX = 240


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreement:
    """One picture: what it is labelled, what the model says, and how probable it finds each (0 to 1)."""

    row: Labelled
    answer: str
    answer_probability: float
    label_probability: float

    @property
    def margin(self) -> float:
        """How much surer the model is of its answer than of the label."""
        return self.answer_probability - self.label_probability

    @property
    def held_out(self) -> bool:
        """Whether the model never saw it; what it learned with its label, it tends to repeat."""
        return self.row.part == HELD_OUT


def found(rows: Sequence[Labelled], labels: Sequence[str], probabilities: np.ndarray) -> list[Disagreement]:
    """Where the `probabilities` (N, labels) choose another than the row's label; the surest first."""
    chosen = probabilities.argmax(1)
    differing = [
        Disagreement(
            row=row,
            answer=labels[chosen[i]],
            answer_probability=float(probabilities[i, chosen[i]]),
            label_probability=float(probabilities[i, labels.index(row.label)]),
        )
        for i, row in enumerate(rows)
        if labels[chosen[i]] != row.label
    ]
    return sorted(differing, key=lambda d: (-d.margin, d.row.path))


def write(store: Store, rows: Sequence[Labelled], labels: Sequence[str], probabilities: np.ndarray) -> None:
    """Write `disagreements.html`."""
    all_found = found(rows, labels, probabilities)
    page = environment().get_template("disagreements.html.j2").render(
        shown=[(d, _thumbnail(d.row.path)) for d in all_found[:MAX_SHOWN]],
        disagreements=len(all_found),
        pictures=len(rows),
        pairs=_pairs(all_found),
    )
    store.write(page.encode(), "disagreements.html")


def _pairs(all_found: Sequence[Disagreement]) -> list[tuple[str, str, int]]:
    """Label, answer, how often; the most frequent first."""
    counts: dict[tuple[str, str], int] = {}
    for d in all_found:
        counts[d.row.label, d.answer] = counts.get((d.row.label, d.answer), 0) + 1
    return sorted(((label, answer, n) for (label, answer), n in counts.items()), key=lambda p: (-p[2], p[0], p[1]))


def _thumbnail(path: str) -> str:
    """A data URI."""
    jpeg = to_jpeg(shown_to_model(read_picture(Path(path)), THUMBNAIL_PX))
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
