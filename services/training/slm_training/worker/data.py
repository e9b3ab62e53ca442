"""From canonical rows to what the trainer eats, through the one encoding that trainer and evaluator share."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from datasets import Dataset

from slm_ml.data import read_rows
from slm_ml.encoding import Example, RowFormatError, encode_preference, encode_rows
from slm_training.worker.job import LocalDataset, TrainingConfig

IGNORED = -100
UNCUT = 2**62
Row = dict[str, Any]


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
        chosen = [len(example.input_ids) for example in self.examples]
        return (
            [max(pair) for pair in zip(chosen, map(len, (each.input_ids for each in self.rejected)), strict=True)]
            if self.rejected
            else chosen
        )

    @property
    def tokens(self) -> int:
        """Tokens of all rows together."""
        return sum(len(example.input_ids) for example in (*self.examples, *self.rejected))


def split_rows(rows: Sequence[Row], share: float, *, seed: int) -> tuple[list[Row], list[Row]]:
    """Rows to train on and rows held out (at least one), each in their order; the same seed holds out the same."""
    count = min(len(rows), max(1, round(len(rows) * share)))
    held = set(random.Random(seed).sample(range(len(rows)), count))
    return (
        [row for number, row in enumerate(rows) if number not in held],
        [row for number, row in enumerate(rows) if number in held],
    )


def rows_of(dataset: LocalDataset) -> list[Row]:
    """Every row of a local dataset."""
    return read_rows(dataset.path)


def encode(
    rows: Sequence[Row], dataset: LocalDataset, *, tokenizer: Any, max_length: int, config: TrainingConfig
) -> EncodedRows:
    """Encode rows as the objective wants them. Raises RowFormatError."""
    source = dataset.source
    if config.objective == "dpo":
        return _preferences(rows, source.mapping, tokenizer=tokenizer, max_length=max_length)
    whole = config.objective == "pretrain"
    examples = encode_rows(
        rows,
        row_format=source.row_format,
        mapping=source.mapping,
        tokenizer=tokenizer,
        max_length=UNCUT if whole else max_length,
    )
    left_out = len(rows) - len(examples)
    if whole:
        return EncodedRows(_stretches(examples, max_length, joined=config.packing is not False), left_out)
    if not (config.assistant_only_loss if source.row_format == "messages" else config.completion_only_loss):
        examples = [replace(each, loss_mask=[1] * len(each.input_ids)) for each in examples]
    return EncodedRows(examples, left_out)


def encode_to_measure(rows: Sequence[Row], dataset: LocalDataset, *, tokenizer: Any, max_length: int) -> list[Example]:
    """Encode rows as the evaluator does. Raises RowFormatError."""
    source = dataset.source
    return encode_rows(
        rows, row_format=source.row_format, mapping=source.mapping, tokenizer=tokenizer, max_length=max_length
    )


def _preferences(rows: Sequence[Row], mapping: dict[str, str], *, tokenizer: Any, max_length: int) -> EncodedRows:
    pairs = []
    for number, row in enumerate(rows, start=1):
        try:
            pairs.append(encode_preference(row, mapping=mapping, tokenizer=tokenizer, max_length=max_length))
        except RowFormatError as error:
            raise RowFormatError(f"row {number}: {error}") from error
    usable = [pair for pair in pairs if pair is not None]
    return EncodedRows([pair[0] for pair in usable], len(rows) - len(usable), [pair[1] for pair in usable])


def _stretches(examples: Sequence[Example], max_length: int, *, joined: bool) -> list[Example]:
    """Texts cut into stretches of `max_length` tokens, nothing thrown away.

    When `joined` they are written one behind the other first, each ended by its stop token, so that every stretch but
    the last is full; this is how language models are pretrained.
    """
    streams = [example.input_ids for example in examples]
    if joined:
        streams = [[token for stream in streams for token in stream]]
    cut = [stream[at : at + max_length] for stream in streams for at in range(0, len(stream), max_length)]
    return [Example(ids, [1] * len(ids), ids[:1], "", "") for ids in cut if len(ids) > 1]


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
