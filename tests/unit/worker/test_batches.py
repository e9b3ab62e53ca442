"""The order in which rows are trained on."""

import random

from slm_training.worker.child.batches import LengthGroupedSampler


def test_every_row_comes_once_and_batches_hold_similar_lengths() -> None:
    chance = random.Random(0)
    lengths = [chance.randint(5, 200) for _ in range(1003)]
    order = list(LengthGroupedSampler(lengths, batch_size=16, seed=1))
    assert sorted(order) == list(range(1003))
    batches = [[lengths[row] for row in order[at : at + 16]] for at in range(0, len(order), 16)]
    assert len(batches[-1]) == 1003 % 16
    padded = sum(max(batch) * len(batch) for batch in batches)
    assert padded < 1.08 * sum(lengths)


def test_the_order_depends_on_seed_and_epoch_only() -> None:
    lengths = list(range(100))
    sampler, same = (LengthGroupedSampler(lengths, batch_size=8, seed=3) for _ in range(2))
    first = list(sampler)
    assert list(sampler) == first == list(same)
    sampler.set_epoch(1)
    assert list(sampler) != first
    assert list(LengthGroupedSampler(lengths, batch_size=8, seed=4)) != first
