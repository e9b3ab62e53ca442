"""The tokens of a dataset for one base model: rows kept, cut and dropped, token counts, and which tokens are trained.

The rows go through `slm_ml.encoding`, the one way the trainer and the evaluator encode them, so that the numbers are
those of the training itself. `chosen/rejected` rows, which DPO trains on, count as two sequences that share a prompt.
Needs a tokenizer only: nothing here imports torch.
"""

import random
import sys
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby
from typing import Any, Literal

from transformers import PreTrainedTokenizerBase

from slm_ml.encoding import TRAINABLE_FORMATS, Example, Row, RowFormatError, encode_preference, encode_row

PREFERENCE = "chosen/rejected"
REPORTED_FORMATS = (*TRAINABLE_FORMATS, PREFERENCE)
UNCUT = sys.maxsize
SAMPLES = 5
SAMPLE_CHARACTERS = 4000
HISTOGRAM_BUCKETS = 20
MAX_PROBLEMS = 20
Outcome = Literal["kept", "truncated", "dropped"]


@dataclass(frozen=True)
class LengthBucket:
    """`rows` rows have from `from_tokens` to `to_tokens` tokens, both ends included."""

    from_tokens: int
    to_tokens: int
    rows: int


@dataclass(frozen=True)
class Span:
    """A stretch of text as the model reads it; `trained` where the loss is taken on it."""

    text: str
    trained: bool


@dataclass(frozen=True)
class RenderedRow:
    """One row as the model reads it; `row` counts from 1, `tokens` before any cut.

    `shortened` when the text shown here stops before the tokens do; a preference row has a span list per answer.
    """

    row: int
    outcome: Outcome
    tokens: int
    trained_tokens: int
    sequences: list[list[Span]]
    shortened: bool = False


@dataclass(frozen=True)
class RowProblem:
    """A row that is not of its format; `row` counts from 1."""

    row: int
    message: str


@dataclass(frozen=True)
class TokenReport:
    """What training on these rows would see. Lengths are in tokens, of rows before any cut.

    `kept_rows` fit into `max_length`, `truncated_rows` are cut and still teach something, `dropped_rows` leave nothing
    to learn (`dropped_because` says why), `invalid_rows` are not of the row format and would end the training.
    `total_tokens` and `trained_tokens` count what is left after the cut. `stop_token_trained` is true when every row
    that is kept whole has the model's stop token inside its loss mask: without it a model never learns to end.
    """

    rows: int
    kept_rows: int
    truncated_rows: int
    dropped_rows: int
    invalid_rows: int
    dropped_because: dict[str, int]
    max_length: int
    has_chat_template: bool
    total_tokens: int
    trained_tokens: int
    p50_length: int
    p95_length: int
    max_row_length: int
    lengths: list[LengthBucket]
    stop_token: str | None
    stop_token_trained: bool
    rows_with_stop_token: int
    samples: list[RenderedRow] = field(default_factory=list)
    problems: list[RowProblem] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON values."""
        return asdict(self)


@dataclass
class _Tally:
    outcomes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    lengths: "array[int]" = field(default_factory=lambda: array("q"))
    total_tokens: int = 0
    trained_tokens: int = 0
    with_stop: int = 0
    kept_with_stop: int = 0
    problems: list[RowProblem] = field(default_factory=list)


def make_token_report(
    rows: Iterable[Row],
    *,
    row_format: str,
    mapping: dict[str, str],
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    on_row: Callable[[int], None] | None = None,
) -> TokenReport:
    """Encode every row as the trainer would, and count. `rows` is read once, row by row.

    `mapping` names the columns that stand for the format's own. The samples are drawn evenly and always the same.
    `on_row` is told how many rows are done. Raises RowFormatError for a row format that no model is trained on.
    """
    if row_format not in REPORTED_FORMATS:
        raise RowFormatError(f"rows of the format {row_format} cannot be trained on")
    tally, drawn, draw = _Tally(), {}, random.Random(0)
    for number, row in enumerate(rows, start=1):
        try:
            sequences = _encode(row, row_format=row_format, mapping=mapping, tokenizer=tokenizer)
        except RowFormatError as error:
            tally.outcomes["invalid"] += 1
            if len(tally.problems) < MAX_PROBLEMS:
                tally.problems.append(RowProblem(number, str(error)))
        else:
            outcome = _count(sequences, tally, max_length=max_length, stop=tokenizer.eos_token_id)
            slot = number - 1 if number <= SAMPLES else draw.randrange(number)
            if slot < SAMPLES and sequences:
                drawn[slot] = (number, outcome, sequences)
        if on_row:
            on_row(number)
    # Rows that one dictionary holds have different numbers, so that sorting never compares further.
    samples = [_rendered(*each, tokenizer=tokenizer, max_length=max_length) for each in sorted(drawn.values())]
    return _report(tally, samples, tokenizer=tokenizer, max_length=max_length)


def _encode(row: Row, *, row_format: str, mapping: dict[str, str], tokenizer: PreTrainedTokenizerBase) -> list[Example]:
    """The sequences of a row, uncut; none where nothing can be learned however long it may be."""
    if row_format != PREFERENCE:
        example = encode_row(row, row_format=row_format, mapping=mapping, tokenizer=tokenizer, max_length=UNCUT)
        return [example] if example else []
    pair = encode_preference(row, mapping=mapping, tokenizer=tokenizer, max_length=UNCUT)
    return list(pair) if pair else []


def _count(sequences: Sequence[Example], tally: _Tally, *, max_length: int, stop: int | None) -> Outcome:
    """Add one row to the tally, and what becomes of it."""
    length = max((len(example.input_ids) for example in sequences), default=0)
    tally.lengths.append(length)
    outcome, reason = _outcome(sequences, length, max_length)
    tally.outcomes[outcome] += 1
    if reason:
        tally.reasons[reason] += 1
        return outcome
    tally.total_tokens += sum(min(len(example.input_ids), max_length) for example in sequences)
    tally.trained_tokens += sum(sum(example.loss_mask[1:max_length]) for example in sequences)
    if all(_learns_to_stop(example, max_length, stop) for example in sequences):
        tally.with_stop += 1
        tally.kept_with_stop += outcome == "kept"
    return outcome


def _outcome(sequences: Sequence[Example], length: int, max_length: int) -> tuple[Outcome, str | None]:
    if not sequences:
        return "dropped", "nothing_to_learn"
    # The same rule as in the encoding: nothing predicts the first token.
    if not all(any(example.loss_mask[1:max_length]) for example in sequences):
        return "dropped", "prompt_too_long"
    return ("kept" if length <= max_length else "truncated"), None


def _learns_to_stop(example: Example, max_length: int, stop: int | None) -> bool:
    """Whether the stop token stands in the last stretch that is learned, and survives the cut."""
    end = len(example.loss_mask)
    while end and not example.loss_mask[end - 1]:
        end -= 1
    start = end
    while start and example.loss_mask[start - 1]:
        start -= 1
    return end <= max_length and stop in example.input_ids[start:end]


def _rendered(
    number: int, outcome: Outcome, sequences: list[Example], *, tokenizer: PreTrainedTokenizerBase, max_length: int
) -> RenderedRow:
    shown = [_spans(example, tokenizer, max_length) for example in sequences]
    return RenderedRow(
        row=number,
        outcome=outcome,
        tokens=max(len(example.input_ids) for example in sequences),
        trained_tokens=sum(sum(example.loss_mask[1:max_length]) for example in sequences),
        sequences=[spans for spans, _ in shown],
        shortened=any(shortened for _, shortened in shown),
    )


def _spans(example: Example, tokenizer: PreTrainedTokenizerBase, max_length: int) -> tuple[list[Span], bool]:
    spans: list[Span] = []
    left, place = SAMPLE_CHARACTERS, 0
    for trained, group in groupby(example.loss_mask[:max_length]):
        width = len(list(group))
        text = str(tokenizer.decode(example.input_ids[place : place + width], skip_special_tokens=False))
        spans.append(Span(text[:left], trained=bool(trained)))
        if len(text) > left:
            return spans, True
        left, place = left - len(text), place + width
    return spans, False


def _report(
    tally: _Tally, samples: list[RenderedRow], *, tokenizer: PreTrainedTokenizerBase, max_length: int
) -> TokenReport:
    lengths = sorted(tally.lengths)
    kept = tally.outcomes["kept"]
    return TokenReport(
        rows=sum(tally.outcomes.values()),
        kept_rows=kept,
        truncated_rows=tally.outcomes["truncated"],
        dropped_rows=tally.outcomes["dropped"],
        invalid_rows=tally.outcomes["invalid"],
        dropped_because=dict(tally.reasons),
        max_length=max_length,
        has_chat_template=tokenizer.chat_template is not None,
        total_tokens=tally.total_tokens,
        trained_tokens=tally.trained_tokens,
        p50_length=percentile(lengths, 50),
        p95_length=percentile(lengths, 95),
        max_row_length=lengths[-1] if lengths else 0,
        lengths=histogram(lengths),
        stop_token=tokenizer.eos_token,
        stop_token_trained=kept > 0 and tally.kept_with_stop == kept,
        rows_with_stop_token=tally.with_stop,
        samples=samples,
        problems=tally.problems,
    )


def percentile(ordered: Sequence[int], percent: int) -> int:
    """The nearest-rank percentile of ascending values, 0 of none: a value that really occurs.

    https://en.wikipedia.org/wiki/Percentile#The_nearest-rank_method
    """
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)] if ordered else 0


def histogram(ordered: Sequence[int]) -> list[LengthBucket]:
    """Ascending lengths counted in at most 20 buckets of equal width; empty ones between others are kept."""
    if not ordered:
        return []
    lowest = ordered[0]
    width = max(1, -(-(ordered[-1] - lowest + 1) // HISTOGRAM_BUCKETS))
    counts = Counter((length - lowest) // width for length in ordered)
    starts = [(index, lowest + index * width) for index in range(max(counts) + 1)]
    return [LengthBucket(start, start + width - 1, counts[index]) for index, start in starts]
