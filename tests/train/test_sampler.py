import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from train.sampler import Epoch, Permutation, Plan, Position, Ref, best_fit, share, steps


def lengths(ref):
    return 10 + (ref.row * 37 + ref.stream) % 80


def plan(**changes):
    return Plan(**{"sizes": (40, 7), "weights": (1.0, 1.0), "seed": 3, "epochs": 2, "window": 16, "max_tokens": 100,
                   "packing": True, **changes})  # fmt: skip


@given(st.integers(1, 3000), st.text(max_size=5))
def test_a_permutation_hits_every_number_once(n, key):
    order = Permutation(n, key)
    assert sorted(order[i] for i in range(n)) == list(range(n))
    with pytest.raises(IndexError):
        order[n]


def test_orders_differ_by_key_and_look_shuffled():
    first, second = ([Permutation(1000, key)[i] for i in range(1000)] for key in ("a", "b"))
    assert sum(x == y for x, y in zip(first, second, strict=True)) < 20
    assert sum(abs(x - y) < 20 for x, y in itertools.pairwise(first)) < 100


@given(st.lists(st.integers(1, 50), max_size=60))
def test_packs_hold_everything_once_and_never_too_much(sizes):
    packs = best_fit(sizes, 50)
    assert sorted(i for pack in packs for i in pack) == list(range(len(sizes)))
    assert all(sum(sizes[i] for i in pack) <= 50 for pack in packs)
    halves = [sum(sizes[i] for i in pack) for pack in packs]
    assert sum(h <= 25 for h in halves) <= 1  # two half-empty packs would have been one


def test_samples_of_one_length_are_not_gathered_in_one_pack():
    sizes = [10, 30] * 100  # questions of two kinds
    packs = best_fit([sizes[Permutation(200, "order")[i]] for i in range(200)], 400)
    kinds = [{sizes[Permutation(200, "order")[i]] for i in pack} for pack in packs]
    assert len(packs) <= 11
    assert all(len(k) == 2 for k in kinds[:-1])


def test_a_sample_too_long_is_not_cut():
    with pytest.raises(ValueError, match="51 tokens"):
        best_fit([51], 50)


def test_every_sample_once_an_epoch_in_another_order():
    packs = list(plan().packs(lengths))
    epochs = [[r for p in packs if p.after.epoch == e for r in p.refs] for e in range(2)]
    for seen in epochs:
        assert Counter(seen) == Counter([Ref(0, i) for i in range(40)] + [Ref(1, i) for i in range(7)])
    assert epochs[0] != epochs[1]


def test_weights_count_how_often():
    epoch = Epoch((10, 8), (2.5, 0.5), seed=1, number=0)
    seen = Counter(epoch[i] for i in range(epoch.length))
    assert epoch.length == 29
    assert sorted(seen[Ref(0, i)] for i in range(10)) == [2] * 5 + [3] * 5
    assert sorted(seen[Ref(1, i)] for i in range(8)) == [0] * 4 + [1] * 4


@pytest.mark.parametrize("packing", [True, False])
def test_from_every_position_the_rest_follows(packing):
    chosen = plan(packing=packing)
    packs = list(chosen.packs(lengths))
    for number, pack in enumerate(packs):
        assert list(chosen.packs(lengths, pack.after)) == packs[number + 1 :]


def test_a_late_position_reads_only_its_own_window():
    asked = []
    big = plan(sizes=(10_000_000,), weights=(1.0,), epochs=1, window=100)
    packs = big.packs(lambda r: asked.append(r) or lengths(r), Position(0, 90_000, 0))
    next(packs)
    assert len(asked) == 100


@pytest.mark.parametrize("workers", [1, 2, 3, 5])
def test_a_step_is_shared_out_evenly_and_counted_once(workers):
    for chunk in steps(plan().packs(lengths), 4):
        parts = [share(chunk, rank, workers) for rank in range(workers)]
        assert len({len(part) for part in parts}) == 1
        counted = [pack for part in parts for pack, counts in part if counts]
        assert sorted(counted, key=chunk.index) == chunk
