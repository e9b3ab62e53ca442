"""From canonical rows to encoded ones, through the one encoding that trainer and evaluator share."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from slm_ml.encoding import Example, Row, RowFormatError, encode_preference, encode_rows
from slm_training.worker.child.rows import EncodedRows
from slm_training.worker.job import LocalDataset, TrainingConfig

UNCUT = 2**62


def encode(
    rows: Sequence[Row], dataset: LocalDataset, *, tokenizer: Any, max_length: int, config: TrainingConfig
) -> EncodedRows:
    """Encode rows as the objective wants them. Raises RowFormatError."""
    source = dataset.source
    if config.objective == "dpo":
        return _preferences(rows, source.mapping, tokenizer=tokenizer, max_length=max_length)
    # What is pretrained on is cut afterwards, so that nothing of a long text is lost.
    whole = config.objective == "pretrain"
    examples = encode_to_measure(rows, dataset, tokenizer=tokenizer, max_length=UNCUT if whole else max_length)
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
