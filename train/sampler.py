"""The order in which an epoch visits its samples, and the packs made of it: pure functions of seed and position.

Ray Train 2.60 keeps no position inside an epoch, so this does. Nothing is held but the window of samples that packs are
made of, so memory does not grow with the number of samples; every worker knows every pack, so the number of workers
changes nothing; and a position is three integers, so a checkpoint resumes exactly.
"""

import bisect
import hashlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

VERSION = 2
"""Raised whenever the order changes: a run that was begun in another is refused."""
ROUNDS = 4


@dataclass(frozen=True, slots=True)
class Ref:
    """One sample: row `row` of the stream number `stream`."""

    stream: int
    row: int


@dataclass(frozen=True, slots=True)
class Position:
    """How many packs of which window of which epoch are behind us."""

    epoch: int = 0
    window: int = 0
    pack: int = 0


@dataclass(frozen=True, slots=True)
class Pack:
    """Samples that go into one sequence, and the position behind it."""

    refs: tuple[Ref, ...]
    after: Position


class Permutation:
    """The numbers 0 to n - 1 in an order that depends on the key: a Feistel network, walked until it lands inside."""

    def __init__(self, n: int, key: str) -> None:
        self._n = n
        self._half_bits = max(1, ((max(n, 2) - 1).bit_length() + 1) // 2)
        self._mask = (1 << self._half_bits) - 1
        digest = hashlib.sha256(key.encode()).digest()
        self._keys = [int.from_bytes(digest[8 * i : 8 * i + 8]) for i in range(ROUNDS)]

    def __getitem__(self, index: int) -> int:
        if not 0 <= index < self._n:
            raise IndexError(index)
        value = self._once(index)
        while value >= self._n:
            value = self._once(value)
        return value

    def _once(self, value: int) -> int:
        left, right = value >> self._half_bits, value & self._mask
        for key in self._keys:
            left, right = right, left ^ (_mixed(right ^ key) & self._mask)
        return (left << self._half_bits) | right


def _mixed(x: int) -> int:
    """SplitMix64's finaliser."""
    x &= 0xFFFFFFFFFFFFFFFF
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return x ^ (x >> 31)


class Epoch:
    """All samples of one epoch in their order: each of a stream's rows `weight` times, a fraction chosen at random."""

    def __init__(self, sizes: Sequence[int], weights: Sequence[float], seed: int, number: int) -> None:
        self._sizes, self._seed, self._number = list(sizes), seed, number
        counts = [round(n * w) for n, w in zip(sizes, weights, strict=True)]
        self._ends = list(itertools.accumulate(counts))
        self.length = self._ends[-1] if self._ends else 0
        self._order = Permutation(self.length, f"order {seed} {number}")
        self._rows: dict[tuple[int, int], Permutation] = {}

    def __getitem__(self, index: int) -> Ref:
        slot = self._order[index]
        stream = bisect.bisect_right(self._ends, slot)
        turn, place = divmod(slot - (self._ends[stream - 1] if stream else 0), self._sizes[stream])
        rows = self._rows.get((stream, turn))
        if rows is None:
            key = f"rows {self._seed} {self._number} {stream} {turn}"
            rows = self._rows.setdefault((stream, turn), Permutation(self._sizes[stream], key))
        return Ref(stream, rows[place])


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that decides which samples go where."""

    sizes: tuple[int, ...]
    """Samples in each stream."""
    weights: tuple[float, ...]
    seed: int
    epochs: int
    window: int
    max_tokens: int
    packing: bool

    def packs(self, lengths: Callable[[Ref], int], start: Position = Position()) -> Iterator[Pack]:
        """All packs from `start` on, to the end of the last epoch."""
        for number in range(start.epoch, self.epochs):
            epoch = Epoch(self.sizes, self.weights, self.seed, number)
            windows = range(0, epoch.length, self.window)
            first = start.window if number == start.epoch else 0
            for w, begin in list(enumerate(windows))[first:]:
                refs = [epoch[i] for i in range(begin, min(begin + self.window, epoch.length))]
                packs = self._window_packs(refs, lengths, f"packs {self.seed} {number} {w}")
                done = start.pack if (number, w) == (start.epoch, start.window) else 0
                for p, pack in enumerate(packs[done:], start=done):
                    yield Pack(tuple(pack), Position(number, w, p + 1))

    def _window_packs(self, refs: list[Ref], lengths: Callable[[Ref], int], key: str) -> list[list[Ref]]:
        if not self.packing:
            return [[ref] for ref in refs]
        packs = best_fit([lengths(ref) for ref in refs], self.max_tokens)
        order = Permutation(len(packs), key)  # or those that were left half empty would always come last
        return [[refs[i] for i in packs[order[p]]] for p in range(len(packs))]


def best_fit(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Indices in packs of at most `capacity`: in their order, each into the fullest pack that still takes it.

    The longest first would hardly fill them better, but put samples of one length, which are of one kind, into one pack.
    """
    packs: list[list[int]] = []
    room: list[tuple[int, int]] = []  # (free, pack), sorted
    for index, length in enumerate(lengths):
        if length > capacity:
            raise ValueError(f"a sample of {length} tokens does not fit a sequence of {capacity}")
        place = bisect.bisect_left(room, (length, -1))
        if place == len(room):
            packs.append([index])
            bisect.insort(room, (capacity - length, len(packs) - 1))
        else:
            free, pack = room.pop(place)
            packs[pack].append(index)
            bisect.insort(room, (free - length, pack))
    return packs


def steps(packs: Iterator[Pack], batch: int) -> Iterator[list[Pack]]:
    """`batch` packs an optimiser step; the last step takes what is left."""
    while chunk := list(itertools.islice(packs, batch)):
        yield chunk


def share(chunk: Sequence[Pack], rank: int, workers: int) -> list[tuple[Pack, bool]]:
    """A worker's packs of a step, and whether each counts.

    Every worker gets equally many, or the others would wait for its gradients for ever: one that has too few repeats a
    pack that counts for nothing.
    """
    rounds = -(-len(chunk) // workers)
    numbers = [i * workers + rank for i in range(rounds)]
    return [(chunk[n], True) if n < len(chunk) else (chunk[0], False) for n in numbers]
