"""From canonical rows to what the trainer eats, through the one encoding that trainer and evaluator share."""

from dataclasses import dataclass
from typing import Any

from datasets import Dataset

from slm_ml.data import read_rows
from slm_ml.encoding import Example, encode_rows
from slm_training.worker.job import LocalDataset
from slm_training.worker.trainer import IGNORED


@dataclass(frozen=True)
class EncodedRows:
    """The usable rows of a dataset, and how many were left out because nothing of them can be learned."""

    examples: list[Example]
    left_out: int

    @property
    def longest(self) -> int:
        """Tokens of the longest row."""
        return max((len(example.input_ids) for example in self.examples), default=0)

    @property
    def tokens(self) -> int:
        """Tokens of all rows together."""
        return sum(len(example.input_ids) for example in self.examples)


def encode_dataset(dataset: LocalDataset, *, tokenizer: Any, max_length: int) -> EncodedRows:
    """Encode every row of a local dataset. Raises RowFormatError."""
    rows = read_rows(dataset.path)
    source = dataset.source
    examples = encode_rows(
        rows, row_format=source.row_format, mapping=source.mapping, tokenizer=tokenizer, max_length=max_length
    )
    return EncodedRows(examples, left_out=len(rows) - len(examples))


def training_dataset(rows: EncodedRows) -> Dataset:
    """Columns `input_ids` and `labels`; a label is ignored where no loss is wanted, and at the first token."""
    return Dataset.from_dict(
        {
            "input_ids": [example.input_ids for example in rows.examples],
            "labels": [_labels(example) for example in rows.examples],
        }
    )


def _labels(example: Example) -> list[int]:
    labels = [
        token if counted else IGNORED for token, counted in zip(example.input_ids, example.loss_mask, strict=True)
    ]
    # Nothing predicts the first token: counting it would only shrink the mean.
    return [IGNORED, *labels[1:]]
