"""A cursor trace held by column: 33 bytes a sample instead of 170, so two hours of it pass from stage to stage unnoticed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.terms import CursorState

_STATES = tuple(CursorState)
_NUMBERS = ("time_s", "x", "y", "confidence")
_SAMPLE = np.dtype([*((name, "<f8") for name in _NUMBERS), ("state", "u1")])


@dataclass(frozen=True, slots=True, kw_only=True)
class TracePoint:
    """One cursor sample: its hot spot (the tip of an arrow, the centre of a cross, dot or disc). `confidence` 0 to 1."""

    time_s: float
    x: float
    y: float
    confidence: float
    state: CursorState


class Trace(Sequence[TracePoint]):
    """Cursor samples in time order, immutable; a part of it is a trace too."""

    __slots__ = ("_samples",)

    def __init__(self, points: Iterable[TracePoint] = ()) -> None:
        rows = ((p.time_s, p.x, p.y, p.confidence, _STATES.index(p.state)) for p in points)
        self._samples = np.fromiter(rows, _SAMPLE)

    @overload
    def __getitem__(self, at: int) -> TracePoint: ...
    @overload
    def __getitem__(self, at: slice) -> "Trace": ...
    def __getitem__(self, at: int | slice) -> "TracePoint | Trace":
        if isinstance(at, slice):
            return _of(self._samples[at])
        time_s, x, y, confidence, state = self._samples[at].item()
        return TracePoint(time_s=time_s, x=x, y=y, confidence=confidence, state=_STATES[state])

    def __len__(self) -> int:
        return len(self._samples)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Trace) and np.array_equal(self._samples, other._samples)

    def __hash__(self) -> int:
        return hash(bytes(self))

    def __repr__(self) -> str:
        return f"Trace({list(self)!r})"

    def __bytes__(self) -> bytes:
        """What `from_bytes` reads: the same for equal traces."""
        return self._samples.tobytes()

    @staticmethod
    def from_bytes(data: bytes) -> "Trace":
        """The inverse of `bytes`.

        Raises:
            ValueError: it is no trace.
        """
        samples = np.frombuffer(data, _SAMPLE)
        if len(samples) and samples["state"].max() >= len(_STATES):
            raise ValueError("a trace has an unknown state")
        return _of(samples)

    def between(self, start_s: float, end_s: float) -> "Trace":
        """The samples from `start_s` on and before `end_s`."""
        times = self._samples["time_s"]
        return _of(self._samples[(times >= start_s) & (times < end_s)])

    def to_arrow(self) -> pa.StructArray:
        """One struct a sample, with the fields of `TracePoint`."""
        columns = [pa.array(np.ascontiguousarray(self._samples[name])) for name in _NUMBERS]
        states = pa.DictionaryArray.from_arrays(self._samples["state"].astype(np.int8), pa.array(_STATES, pa.string()))
        return pa.StructArray.from_arrays([*columns, states.dictionary_decode()], names=[*_NUMBERS, "state"])

    @staticmethod
    def from_arrow(samples: pa.StructArray) -> "Trace":
        """The inverse of `to_arrow`.

        Raises:
            ValueError: a value is missing, or a state is unknown.
        """
        found = np.empty(len(samples), _SAMPLE)
        columns = dict(zip([f.name for f in samples.type], samples.flatten(), strict=True))
        states = pc.index_in(columns.pop("state"), pa.array(_STATES, pa.string()))
        for name, column in [*columns.items(), ("state", states)]:
            if column.null_count:
                raise ValueError(f"a trace has no {name} everywhere")
            found[name] = column.to_numpy()
        return _of(found)


def _of(samples: np.ndarray[Any, Any]) -> Trace:
    trace = Trace.__new__(Trace)
    trace._samples = samples
    return trace
