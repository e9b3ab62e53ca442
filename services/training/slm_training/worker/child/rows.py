"""Encoded rows: what is trained on, what is held out, and the columns that the trainer reads."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from datasets import Dataset

from slm_ml.encoding import IGNORED, Example, Row


@dataclass(frozen=True)
class EncodedRows:
    """The usable rows of a dataset, and how many were left out because nothing of them can be learned.

    `rejected` has the rejected answers of preference rows, in the order of `examples`, which has the chosen ones.
    """

    examples: list[Example]
    left_out: int
    rejected: list[Example] = field(default_factory=list)

    @property
    def longest(self) -> int:
        """Tokens of the longest row."""
        return max(self.lengths, default=0)

    @property
    def lengths(self) -> list[int]:
        """Tokens of each row; of a preference row those of its longer answer."""
        pairs = zip(self.examples, self.rejected or self.examples, strict=True)
        return [max(len(chosen.input_ids), len(rejected.input_ids)) for chosen, rejected in pairs]

    @property
    def tokens(self) -> int:
        """Tokens of all rows together."""
        return sum(len(example.input_ids) for example in (*self.examples, *self.rejected))


def split_rows(rows: Sequence[Row], fraction: float, *, seed: int) -> tuple[list[Row], list[Row]]:
    """Rows to train on and rows held out (at least one), each in their order; the same seed holds out the same."""
    count = min(len(rows), max(1, round(len(rows) * fraction)))
    held = set(random.Random(seed).sample(range(len(rows)), count))
    return (
        [row for number, row in enumerate(rows) if number not in held],
        [row for number, row in enumerate(rows) if number in held],
    )


def padding_share(lengths: Sequence[int], batch_size: int) -> float:
    """Which share of the positions would be padding if rows simply followed each other."""
    batches = [range(at, min(at + batch_size, len(lengths))) for at in range(0, len(lengths), batch_size)]
    positions = sum(len(batch) * max(lengths[row] for row in batch) for batch in batches)
    return 1 - sum(lengths) / positions if positions else 0.0


def training_dataset(rows: EncodedRows) -> Dataset:
    """Columns `input_ids` and `labels`; a label is ignored where no loss is wanted, and at the first token.

    Preference rows also have `rejected_ids` and `rejected_labels`.
    """
    columns = {
        "input_ids": [example.input_ids for example in rows.examples],
        "labels": [_labels(example) for example in rows.examples],
    }
    if rows.rejected:
        columns["rejected_ids"] = [example.input_ids for example in rows.rejected]
        columns["rejected_labels"] = [_labels(example) for example in rows.rejected]
    return Dataset.from_dict(columns)


def _labels(example: Example) -> list[int]:
    labels = [
        token if counted else IGNORED for token, counted in zip(example.input_ids, example.loss_mask, strict=True)
    ]
    # Nothing predicts the first token: counting it would only shrink the mean.
    return [IGNORED, *labels[1:]]
