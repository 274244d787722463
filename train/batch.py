"""A pack of documents as one sequence of tensors: tokens, M-RoPE positions, pixels, and what is to be learned.

Documents stand behind one another without padding. Each keeps its own positions, by the very function that generation
uses. Attention stays within a document: SDPA by the block-diagonal mask that transformers makes of text positions that
begin anew, FlashAttention by the documents' ends.
"""

import collections
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from pipelines.errors import RowError
from pipelines.schema import Reason
from train.chat import Document, Marks, labels, laid_out
from train.config import VisionSettings
from train.media import film, picture
from train.samples import Media

_Item = TypeVar("_Item")
_Made = TypeVar("_Made")


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One sequence. All tensors; sizes are (1, length) unless said otherwise."""

    input_ids: Any
    position_ids: Any
    """(4, 1, length): text positions, which begin at 0 with each document, and the three of M-RoPE."""
    keep: Any
    """(targets,): places whose prediction counts ..."""
    wanted: Any
    """(targets,): ... and the token that each should predict."""
    vision: dict[str, Any]
    """Pixels and grids by the model's argument names; empty for text alone."""
    ends: Any
    """(documents + 1,), int32: where each document begins, and the last one's end."""
    longest: int
    """Tokens of the longest document."""

    @property
    def tokens(self) -> int:
        """Length of the sequence."""
        return int(self.input_ids.shape[1])

    @property
    def targets(self) -> int:
        """Tokens that are learned."""
        return len(self.wanted)

    def to(self, device: Any) -> "Batch":
        """On another device."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def pinned(self) -> "Batch":
        """In memory that a GPU reads by itself: a film's pixels are a quarter of a gigabyte."""
        return self._each(lambda tensor: tensor.pin_memory())

    def _each(self, change: Callable[[Any], Any]) -> "Batch":
        return Batch(input_ids=change(self.input_ids), position_ids=change(self.position_ids), keep=change(self.keep),
                     wanted=change(self.wanted), vision={k: change(v) for k, v in self.vision.items()},
                     ends=change(self.ends), longest=self.longest)  # fmt: skip


class Collator:
    """Documents to batches: the only place where pictures and films are decoded."""

    def __init__(self, processor: Any, marks: Marks, vision: VisionSettings, rope_index: Callable[..., Any]) -> None:
        self._processor, self._marks, self._vision, self._rope_index = processor, marks, vision, rope_index

    def __call__(self, documents: Sequence[Document]) -> Batch:
        """One sequence of all documents, in their order.

        Raises:
            RowError: a picture or film is not what it was when indexed; the sample is named.
        """
        import torch

        ids, positions, keep, wanted = [], [], [], []
        vision: dict[str, list[Any]] = {}
        begins = 0
        for document in documents:
            tokens = laid_out(document.tokens, document.media, self._marks)
            own = {name: torch.cat(parts) for name, parts in self._seen(document).items()}
            learned = labels(tokens, self._marks)
            places = np.flatnonzero(learned >= 0)
            if len(tokens) != document.length or len(places) != document.targets:
                raise RowError(Reason.STAGE_ERROR, f"sample {document.sample_id} is not as it was indexed")
            ids.append(torch.from_numpy(tokens))
            positions.append(self.positions(ids[-1], own))
            keep.append(torch.from_numpy(places - 1 + begins))
            wanted.append(torch.from_numpy(learned[places]))
            for name, value in own.items():
                vision.setdefault(name, []).append(value)
            begins += len(tokens)
        return Batch(
            input_ids=torch.cat(ids)[None],
            position_ids=torch.cat(positions, dim=-1),
            keep=torch.cat(keep),
            wanted=torch.cat(wanted),
            vision={name: torch.cat(parts) for name, parts in vision.items()},
            ends=torch.tensor([0, *itertools.accumulate(d.length for d in documents)], dtype=torch.int32),
            longest=max(d.length for d in documents),
        )

    def positions(self, tokens: Any, vision: dict[str, Any]) -> Any:
        """(4, 1, length) positions of one document."""
        import torch

        text = torch.arange(len(tokens))[None, None]
        if not vision:
            return text.expand(4, -1, -1)
        types = (tokens == self._marks.image).int() + 2 * (tokens == self._marks.video).int()
        spatial, _ = self._rope_index(
            tokens[None], mm_token_type_ids=types[None], image_grid_thw=vision.get("image_grid_thw"),
            video_grid_thw=vision.get("video_grid_thw"),
        )  # fmt: skip
        return torch.cat([text, spatial])

    def _seen(self, document: Document) -> dict[str, list[Any]]:
        seen: dict[str, list[Any]] = {}
        for media in document.media:
            try:
                pixels = self._pixels(media)
            except RowError as error:
                raise RowError(error.reason, f"sample {document.sample_id}: {error.detail}") from error
            for name, value in pixels.items():
                seen.setdefault(name, []).append(value)
        return seen

    def _pixels(self, media: Media) -> dict[str, Any]:
        if media.kind == "video":
            frames = film(media, self._vision)
            made = self._processor.video_processor(
                videos=[np.ascontiguousarray(frames.transpose(0, 3, 1, 2))], do_resize=False, do_sample_frames=False,
                cap_pixels_per_frame=False, input_data_format="channels_first", return_tensors="pt",
            )  # fmt: skip
            names, grid = ("pixel_values_videos", "video_grid_thw"), made["video_grid_thw"]
        else:
            made = self._processor.image_processor(images=[picture(media)], return_tensors="pt")
            names, grid = ("pixel_values", "image_grid_thw"), made["image_grid_thw"]
        tokens = int(grid.prod()) // 4
        if tokens != media.tokens:
            raise RowError(Reason.STAGE_ERROR, f"{media.uri} takes {tokens} tokens, and took {media.tokens} when indexed")
        return {name: made[name] for name in names}


def prefetched(items: Iterable[_Item], make: Callable[[_Item], _Made], ahead: int, threads: int) -> Iterator[_Made]:
    """`make` of each item in order, `ahead` of them made beforehand by other threads."""
    waiting: collections.deque[Future[_Made]] = collections.deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="decode") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(make, item))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
