"""Documents of every kind, and what makes batches of them: for tests of the model itself."""

from pathlib import Path
from typing import NamedTuple

from tests.media import write_video
from tests.train import tiny
from train.batch import Collator
from train.chat import Document, load_processor
from train.model import load
from train.samples import Media, conversation
from train.sources import conversations, curated


class Packs(NamedTuple):
    """A tiny model's folder, a collator for it, and documents: text, pictures and a film."""

    folder: str
    collate: Collator
    documents: list[Document]


def packs(base: Path) -> Packs:
    folder = tiny.model(base / "tiny")
    path = write_video(base / "film.mp4", seconds=6)
    film = Media(kind="video", uri=str(path), start_s=1.0, end_s=6.0, width=160, height=120)
    found = [*conversations(tiny.llava(base / "llava", 5)), *curated(tiny.curated(base / "out", 1, 2), 0.0)]
    samples = [s for s in found if hasattr(s, "turns")]
    samples.insert(2, conversation("film", film, (("What happens?", "It grows lighter."), ("Where?", "On the left."))))
    encode, processor = tiny.encoder(folder), load_processor(folder, tiny.VISION)
    rope_index = load(folder).model.get_rope_index
    collate = Collator(processor, tiny.marks(processor), tiny.VISION, rope_index)
    return Packs(folder, collate, [encode(s) for s in samples])
