"""Two evaluations of the same rows: paired differences with bootstrap confidence intervals.

Rows are drawn again with replacement, the same ones for both sides, and the interval is that of the middle 95 % of the
differences (percentile bootstrap). Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13;
for paired systems: Koehn 2004, Statistical Significance Tests for Machine Translation Evaluation.
"""

import asyncio
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slm_evaluation.errors import EvaluationNotReadyError, NotComparableError
from slm_evaluation.schemas.evaluations import ComparedMetric, Evaluation, EvaluationComparison
from slm_evaluation.service.predictions import Columns, PredictionsIndex, names_of, read_index, row_columns
from slm_evaluation.tables import EvaluationRow
from slm_shared.metrics import METRICS
from slm_shared.storage.objects import ObjectStore

RESAMPLES = 2000
CONFIDENCE = 0.95
SEED = 20_000
# So many numbers are drawn at once (32 MB), however many rows there are.
CHUNK_CELLS = 4_000_000

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Difference:
    """Second minus first, over `rows` rows that both have; `low` to `high` is the interval of the difference."""

    first: float
    second: float
    low: float
    high: float
    rows: int


async def compare(objects: ObjectStore, first: EvaluationRow, second: EvaluationRow) -> EvaluationComparison:
    """Compare two completed evaluations. Raises NotComparableError and EvaluationNotReadyError."""
    found = await paired_differences(objects, first, second)
    metrics = [_compared(name, first, second, found.get(name)) for name in {**first.metrics, **second.metrics}]
    return EvaluationComparison(
        first=Evaluation.of(first),
        second=Evaluation.of(second),
        confidence=CONFIDENCE,
        resamples=RESAMPLES,
        metrics=metrics,
    )


async def paired_differences(
    objects: ObjectStore, first: EvaluationRow, second: EvaluationRow
) -> dict[str, Difference]:
    """The difference of every metric that has a value per row. Raises what `compare` raises."""
    if first.dataset["sha256"] != second.dataset["sha256"]:
        raise NotComparableError("The two evaluations were made on different rows.")
    one, other = await read_index(objects, first), await read_index(objects, second)
    if one is None or other is None:
        message = "One of the evaluations was made before the scores of single rows were kept."
        raise EvaluationNotReadyError(message, hint="Evaluate the model again.")
    return await asyncio.to_thread(differences, one, other)


def _compared(name: str, first: EvaluationRow, second: EvaluationRow, found: Difference | None) -> ComparedMetric:
    one, other = first.metrics.get(name), second.metrics.get(name)
    return ComparedMetric(
        name=name,
        first=one,
        second=other,
        difference=other - one if one is not None and other is not None else None,
        low=found.low if found else None,
        high=found.high if found else None,
        rows=found.rows if found else None,
        verdict=verdict(name, found) if found else None,
        lower_is_better=_lower_is_better(name),
    )


def verdict(name: str, found: Difference) -> str:
    """`better`, `worse` or `same`: whether the interval of the difference leaves zero out, and on which side."""
    if found.low <= 0 <= found.high:
        return "same"
    return "better" if (found.high < 0) == _lower_is_better(name) else "worse"


def _lower_is_better(name: str) -> bool:
    """The direction of a metric; one that only a newer worker knows counts as better when it is higher."""
    return name in METRICS and METRICS[name].lower_is_better


def differences(first: PredictionsIndex, second: PredictionsIndex) -> dict[str, Difference]:
    """Per metric that both have rows of; each is a ratio of sums over rows, e.g. nats per token."""
    (numbers, one), (others, other) = row_columns(first), row_columns(second)
    found: dict[str, Difference] = {}
    places = {number: place for place, number in enumerate(others)}
    shared = [(place, places[number]) for place, number in enumerate(numbers) if number in places]
    for name, column in {"loss": "loss", "token_accuracy": "right", **{name: name for name in names_of(one)}}.items():
        # Only the first rows have answers: their columns are shorter.
        pairs = [(a, b) for a, b in shared if a < len(one[column]) and b < len(other.get(column, ()))]
        if pairs:
            first_rows, second_rows = [a for a, _ in pairs], [b for _, b in pairs]
            found[name] = bootstrap(_taken(one, column, first_rows), _taken(other, column, second_rows))
    return found


def _taken(columns: Columns, name: str, places: list[int]) -> tuple[Floats, Floats]:
    """Sums and weights of the rows at `places`: tokens for what is summed over them, else every row counts once."""
    weights = columns["tokens"] if name in ("loss", "right") else [1.0] * len(columns[name])
    sums, counts = (np.asarray(each, dtype=np.float64)[places] for each in (columns[name], weights))
    return sums, counts


def bootstrap(
    first: tuple[Floats, Floats], second: tuple[Floats, Floats], *, resamples: int = RESAMPLES, seed: int = SEED
) -> Difference:
    """The difference of two ratios of sums over the same rows, with its percentile interval.

    Each side is the rows' sums and weights, both of shape (rows,). The draws follow from `seed` alone.
    """
    rows = len(first[0])
    random = np.random.default_rng(seed)
    drawn: list[Floats] = []
    step = max(1, CHUNK_CELLS // max(1, rows))
    for start in range(0, resamples, step):
        chosen = random.integers(0, rows, size=(min(step, resamples - start), rows))
        drawn.append(_ratio(second, chosen) - _ratio(first, chosen))
    edge = (1 - CONFIDENCE) / 2
    low, high = np.quantile(np.concatenate(drawn), [edge, 1 - edge])
    one, other = (float(sums.sum() / weights.sum()) for sums, weights in (first, second))
    return Difference(one, other, float(low), float(high), rows)


def _ratio(side: tuple[Floats, Floats], chosen: NDArray[np.int64]) -> Floats:
    sums, weights = side
    # A draw may consist of rows without tokens only.
    ratio: Floats = sums[chosen].sum(axis=1) / np.maximum(weights[chosen].sum(axis=1), 1e-12)
    return ratio
