"""Conversations to tokens: the model's own chat template, places for pictures, and which tokens are learned.

Only what the assistant says is learned, with the mark that ends it; everything else is context.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipelines.errors import UsageError
from train.budget import film_size, film_tokens, frame_times
from train.config import PATCH_PX, VisionSettings
from train.samples import LeftOut, Media, Sample

MIN_PIXELS = 56 * 56
"""Qwen2-VL's own default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A sample ready to be packed: one place-holder token stands for each picture or film until it is laid out."""

    sample_id: str
    kind: str
    task: str
    tokens: tuple[int, ...]
    media: tuple[Media, ...]
    length: int
    """Tokens once the pictures have their places."""
    targets: int
    """Tokens that are learned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """The tokens that the layout turns on."""

    header: tuple[int, ...]
    """Begins what the assistant says."""
    end: int
    """Ends it."""
    image: int
    video: int


def load_processor(model: str, vision: VisionSettings) -> Any:
    """The model's processor, which resizes pictures as `vision` says (and is saved with the trained model)."""
    from transformers import AutoProcessor

    processor = AutoProcessor.from_pretrained(model)
    size = {"shortest_edge": MIN_PIXELS, "longest_edge": vision.image_max_tokens * PATCH_PX**2}
    processor.image_processor.size = type(processor.image_processor.size)(**size)
    return processor


def marks(processor: Any) -> Marks:
    """The tokens of a ChatML model of the Qwen2-VL family.

    Raises:
        UsageError: it is none.
    """
    tokenizer = processor.tokenizer
    header = tokenizer("<|im_start|>assistant\n", add_special_tokens=False)["input_ids"]
    ids = {name: tokenizer.convert_tokens_to_ids(name) for name in ("<|im_start|>", "<|im_end|>")}
    image, video = getattr(processor, "image_token_id", None), getattr(processor, "video_token_id", None)
    if header[0] != ids["<|im_start|>"] or ids["<|im_end|>"] is None or image is None or video is None:
        raise UsageError("The model is none of the Qwen2-VL family: its tokenizer lacks the marks of turns or pictures.")
    return Marks(header=tuple(header), end=ids["<|im_end|>"], image=image, video=video)


class Encoder:
    """Samples to documents, with one model's processor."""

    def __init__(self, processor: Any, vision: VisionSettings, max_tokens: int) -> None:
        self._processor, self._vision, self._max_tokens = processor, vision, max_tokens
        self.marks = marks(processor)
        self._reserved = tuple(processor.tokenizer.get_added_vocab())

    def __call__(self, sample: Sample) -> Document | LeftOut:
        """The document, or why the sample cannot be one."""

        def out(reason: str, detail: str = "") -> LeftOut:
            return LeftOut(sample_id=sample.sample_id, reason=reason, detail=detail)

        texts = [part for turn in sample.turns for part in turn.parts if part is not None]
        if reserved := [r for r in self._reserved if any(r in text for text in texts)]:
            return out("reserved_token", f"a text contains {reserved[0]}")
        answers = [turn for turn in sample.turns if turn.role == "assistant"]
        if not answers or sample.turns[-1].role != "assistant":
            return out("no_answer")
        if any(not "".join(part or "" for part in turn.parts).strip() for turn in answers):
            return out("empty_answer")
        media = tuple(sized(m, self._vision) for m in sample.media)
        tokens = self._tokens(sample)
        length = len(tokens) + sum(m.tokens - 1 for m in media)
        if length > self._max_tokens:
            return out("too_long", f"{length} tokens")
        targets = int((labels(np.array(tokens), self.marks) >= 0).sum())
        return Document(sample_id=sample.sample_id, kind=sample.kind, task=sample.task, tokens=tokens, media=media,
                        length=length, targets=targets)  # fmt: skip

    def _tokens(self, sample: Sample) -> tuple[int, ...]:
        waiting = list(sample.media)
        messages = []
        for turn in sample.turns:
            content = []
            for part in turn.parts:
                content.append({"type": "text", "text": part} if part is not None else {"type": waiting.pop(0).kind})
            messages.append({"role": turn.role, "content": content})
        text = self._processor.apply_chat_template(messages, tokenize=False)
        tokens = self._processor.tokenizer(text, add_special_tokens=False)["input_ids"]
        places = sum(t in (self.marks.image, self.marks.video) for t in tokens)
        spans = _spans(np.array(tokens), self.marks)
        answers = sum(turn.role == "assistant" for turn in sample.turns)
        if places != len(sample.media) or len(spans) != answers:
            raise UsageError(
                f"The model's chat template does not show what was said: {len(spans)} answers of {answers}, "
                f"{places} pictures of {len(sample.media)}."
            )
        return tuple(tokens)


def sized(media: Media, vision: VisionSettings) -> Media:
    """`media` with the tokens it takes; a film also with its frames and the size they are reduced to."""
    if media.kind == "video":
        frames = len(frame_times(media.start_s, media.end_s, vision))
        width, height = film_size(media.width, media.height, frames, vision)
        tokens = film_tokens(width, height, frames)
        return dataclasses.replace(media, frames=frames, width=width, height=height, tokens=tokens)
    from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize

    largest = vision.image_max_tokens * PATCH_PX**2
    height, width = smart_resize(media.height, media.width, PATCH_PX, MIN_PIXELS, largest)
    return dataclasses.replace(media, tokens=height * width // PATCH_PX**2)


def labels(tokens: np.ndarray, marks: Marks) -> np.ndarray:
    """At each place the token to be learned there, or -100: the assistant's words and the mark that ends them."""
    wanted = np.full(len(tokens), -100, np.int64)
    for first, last in _spans(tokens, marks):
        wanted[first:last] = tokens[first:last]
    return wanted


def _spans(tokens: np.ndarray, marks: Marks) -> list[tuple[int, int]]:
    header = np.array(marks.header)
    if len(tokens) < len(header):
        return []
    windows = np.lib.stride_tricks.sliding_window_view(tokens, len(header))
    ends = np.flatnonzero(tokens == marks.end)
    spans = []
    for start in np.flatnonzero((windows == header).all(axis=1)) + len(header):
        behind = ends[ends >= start]
        spans.append((int(start), int(behind[0]) + 1 if len(behind) else len(tokens)))
    return spans


def laid_out(tokens: Sequence[int], media: Sequence[Media], marks: Marks) -> np.ndarray:
    """The tokens with every picture's and film's place-holder repeated for each of its tokens."""
    array = np.asarray(tokens, np.int64)
    repeats = np.ones(len(array), np.int64)
    places = np.flatnonzero((array == marks.image) | (array == marks.video))
    repeats[places] = [m.tokens for m in media]
    return np.repeat(array, repeats)
