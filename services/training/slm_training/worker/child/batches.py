"""Which rows make a batch, and how a batch is laid out: rows of similar length, or rows packed beside each other."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch.utils.data import Sampler

from slm_ml.encoding import IGNORED

BATCHES_PER_WINDOW = 32


class ShuffledSampler(Sampler[int]):
    """Every row once per epoch in an order that depends on the seed and the epoch only.

    A resumed run so meets the same rows again; what torch's global generator has drawn meanwhile does not matter.
    """

    def __init__(self, count: int, *, seed: int) -> None:
        self._count = count
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer at the start of each epoch."""
        self._epoch = epoch

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[int]:
        yield from torch.randperm(self._count, generator=self._generator()).tolist()

    def _generator(self) -> torch.Generator:
        # A large prime keeps the epochs of neighbouring seeds apart.
        return torch.Generator().manual_seed(self._seed * 1_000_003 + self._epoch)


class LengthGroupedSampler(ShuffledSampler):
    """Every row once per epoch, such that each batch holds rows of similar length and batches come in random order.

    Rows are shuffled, sorted by length within windows of 32 batches, cut into batches, and the batches are shuffled.
    `batch_size` is that of an optimiser step: however it is divided among passes and processes, a step sees the same
    rows.
    """

    def __init__(self, lengths: Sequence[int], *, batch_size: int, seed: int) -> None:
        super().__init__(len(lengths), seed=seed)
        self._lengths = lengths
        self._batch_size = batch_size

    def __iter__(self) -> Iterator[int]:
        generator = self._generator()
        order: list[int] = torch.randperm(self._count, generator=generator).tolist()
        batches = grouped(order, self._lengths, self._batch_size)
        # Only the last batch may be short: elsewhere it would shift the cuts the data loader makes.
        full = [batch for batch in batches if len(batch) == self._batch_size]
        rest = [row for batch in batches if len(batch) < self._batch_size for row in batch]
        for position in torch.randperm(len(full), generator=generator).tolist():
            yield from full[position]
        yield from rest


def grouped(order: Sequence[int], lengths: Sequence[int], batch_size: int) -> list[list[int]]:
    """Rows in `order` cut into batches of similar length."""
    window = batch_size * BATCHES_PER_WINDOW
    batches: list[list[int]] = []
    for start in range(0, len(order), window):
        rows = sorted(order[start : start + window], key=lengths.__getitem__)
        batches += [rows[at : at + batch_size] for at in range(0, len(rows), batch_size)]
    return batches


def packed_rows(lengths: Sequence[int]) -> list[list[int]]:
    """Which sequences share a row of the width of the longest one: first fit, the longest first."""
    width = max(lengths)
    rows: list[list[int]] = []
    room: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda each: -lengths[each]):
        for row, left in enumerate(room):
            if lengths[index] <= left:
                rows[row].append(index)
                room[row] -= lengths[index]
                break
        else:
            rows.append([index])
            room.append(width - lengths[index])
    return rows


class PackingCollator:
    """Lays the rows of a batch out in as few and as full lines as fit; none sees any other.

    `position_ids` start anew with each row; `segments` number the rows within a line from 1, 0 is padding. The loss is
    that of the same rows on a line each.
    """

    def __call__(self, features: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """One batch, each tensor of shape (lines, width)."""
        lengths = [len(feature["input_ids"]) for feature in features]
        rows = packed_rows(lengths)
        shape = (len(rows), max(lengths))
        ids, labels = torch.zeros(shape, dtype=torch.long), torch.full(shape, IGNORED)
        positions, segments = torch.zeros(shape, dtype=torch.long), torch.zeros(shape, dtype=torch.long)
        for line, members in enumerate(rows):
            start = 0
            for number, index in enumerate(members, start=1):
                end = start + lengths[index]
                ids[line, start:end] = torch.tensor(features[index]["input_ids"])
                labels[line, start:end] = torch.tensor(features[index]["labels"])
                positions[line, start:end] = torch.arange(lengths[index])
                segments[line, start:end] = number
                start = end
        return {"input_ids": ids, "labels": labels, "position_ids": positions, "segments": segments}


class PaddingCollator:
    """Fills shorter rows up to the longest one of the batch."""

    def __call__(self, features: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """One batch, each tensor of shape (rows, width)."""
        ids, attention = _padded([feature["input_ids"] for feature in features])
        labels, _ = _padded([feature["labels"] for feature in features], IGNORED)
        return {"input_ids": ids, "attention_mask": attention, "labels": labels}


class PreferenceCollator:
    """Chosen answers in the first half of a batch, rejected ones in the second, in the same order."""

    def __call__(self, features: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """One batch, each tensor of shape (2 * pairs, width), and `reference` with the reference's log likelihoods."""
        both = ("input_ids", "rejected_ids"), ("labels", "rejected_labels")
        ids, attention = _padded([feature[name] for name in both[0] for feature in features])
        labels, _ = _padded([feature[name] for name in both[1] for feature in features], IGNORED)
        batch = {"input_ids": ids, "attention_mask": attention, "labels": labels}
        if "reference_chosen" in features[0]:
            names = ("reference_chosen", "reference_rejected")
            batch["reference"] = torch.tensor([feature[name] for name in names for feature in features])
        return batch


def _padded(rows: Sequence[Sequence[int]], filler: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    width = max(len(row) for row in rows)
    values = torch.tensor([[*row, *[filler] * (width - len(row))] for row in rows])
    attention = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    return values, attention


def segment_mask(segments: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """What is added to attention scores, of shape (lines, 1, width, width): 0 where a position may look, else the least
    number. A position looks at what stands before it in its own row, padding at itself alone."""
    width = segments.shape[1]
    same = segments[:, :, None] == segments[:, None, :]
    earlier = torch.ones(width, width, dtype=torch.bool, device=segments.device).tril()
    allowed = (same & earlier & (segments > 0)[:, :, None]) | torch.eye(width, dtype=torch.bool, device=segments.device)
    mask = torch.zeros(segments.shape[0], 1, width, width, dtype=dtype, device=segments.device)
    return mask.masked_fill_(~allowed[:, None], torch.finfo(dtype).min)
