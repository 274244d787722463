"""The narration with the time of each word, kept on disk so that a set of films speaks each sentence once.

hibari-tts gives samples only, but its model computes how many steps of 25 ms each phoneme lasts. That inner tensor is
made an output, so a word begins and ends where the model itself says that its phonemes do.
"""

import functools
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.lectures import render
from tests.lectures.render import SAMPLE_RATE

_KEPT = Path(__file__).parents[3] / "build" / "voice"
_ENDS = b"/CumSum_output_0"
"""The tensor of hibari-tts 0.2.1 that holds the step at which each phoneme ends."""
_STEP_S = 0.025
_VERSION = "1"


@dataclass(frozen=True, slots=True, eq=False)
class Utterance:
    """One spoken sentence."""

    samples: np.ndarray
    """float32 at 24 kHz, without the silence around it."""
    words: tuple[tuple[str, float, float], ...]
    """Text, start and end, seconds from the first sample."""

    @property
    def length_s(self) -> float:
        """Its duration."""
        return len(self.samples) / SAMPLE_RATE


@functools.lru_cache(maxsize=128)
def speak(text: str) -> Utterance:
    """The sentence, the same samples every time."""
    name = hashlib.sha256(f"{_VERSION} {text}".encode()).hexdigest()[:24]
    files = _KEPT / f"{name}.npy", _KEPT / f"{name}.words.npy"
    if not files[1].exists():
        _KEPT.mkdir(parents=True, exist_ok=True)
        samples = render.voice(text)
        for file, array in zip(files, (samples, word_bounds(text, len(samples) / SAMPLE_RATE)), strict=True):
            with (temporary := file.with_name(f".{os.getpid()}.{file.name}")).open("wb") as handle:
                np.save(handle, array)
            temporary.replace(file)
    bounds = np.load(files[1])
    words = tuple((word, float(a), float(b)) for word, (a, b) in zip(text.split(), bounds, strict=True))
    return Utterance(np.load(files[0]), words)


def word_bounds(text: str, length_s: float) -> np.ndarray:
    """Start and end of each word, seconds from the trimmed sentence's first sample; float64 (words, 2).

    Raises:
        ValueError: the sentence is not spoken word for word (numerals, abbreviations): no truth for it.
    """
    from hibari.tts import Hibari

    voice: Hibari = render._voice()
    phonemes = voice.phonemize(text)
    if len(phonemes) != 1 or len(phonemes[0].split(" ")) != len(text.split()):
        raise ValueError(f"not spoken word for word: {text}")
    inputs = {"ids": np.asarray([voice.ids(phonemes[0])], np.int64), "speed": np.ones(1, np.float32)}
    ends_s = np.concatenate([[0.0], _durations().run([_ENDS.decode()], inputs)[0].ravel() * _STEP_S])
    bounds, at = [], 1  # a pad stands before the first phoneme
    for word in phonemes[0].split(" "):
        known = len(voice.ids(word)) - 2
        sounds = len(voice.ids(word.rstrip(".,;:!?"))) - 2  # the pause of a comma belongs to no word
        bounds.append((ends_s[at], ends_s[at + sounds]))
        at += known + 1
    samples = voice(text, seed=0)
    first_s = float(np.flatnonzero(np.abs(samples) > 0.01)[0]) / SAMPLE_RATE
    spans = np.clip(np.array(bounds) - first_s, 0.0, length_s)
    spans[0, 0], spans[-1, 1] = 0.0, length_s
    return spans


@functools.cache
def _durations() -> Any:
    """The voice's model with one output more: protobuf joins what is appended to a message, so no editor is needed."""
    import onnxruntime

    voice = render._voice()
    output = _field(12, _field(1, _ENDS))  # GraphProto.output, ValueInfoProto.name
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    model = Path(voice.model_path).read_bytes() + _field(7, output)  # ModelProto.graph
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _field(number: int, content: bytes) -> bytes:
    assert len(content) < 128  # one byte of length
    return bytes([number << 3 | 2, len(content)]) + content
