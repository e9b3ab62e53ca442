"""Rules of evaluations: states, retries, and the metrics that are not the torch side's."""

import math
from collections.abc import Mapping, Sequence
from enum import StrEnum


class EvaluationStatus(StrEnum):
    """Where an evaluation stands."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


S = EvaluationStatus
EDGES: dict[EvaluationStatus, frozenset[EvaluationStatus]] = {
    S.QUEUED: frozenset({S.RUNNING, S.CANCELLED}),
    S.RUNNING: frozenset({S.COMPLETED, S.FAILED, S.QUEUED, S.CANCELLED}),
    S.COMPLETED: frozenset(),
    S.FAILED: frozenset(),
    S.CANCELLED: frozenset(),
}
# From here only a person who asks for it again leads back into the queue.
RETRYABLE = frozenset({S.FAILED, S.CANCELLED})
# An evaluation starts over each time, and what is damaged stays damaged.
MAX_ATTEMPTS = 3
RETRY_S = 5.0

# What each may be at most, so that all count the same.
QUALITY = {"token_accuracy": 1.0, "exact_match": 1.0, "token_f1": 1.0, "rouge_l": 1.0, "chrf": 100.0}


def quality_score(metrics: Mapping[str, float]) -> float | None:
    """One number from 0 to 1: the mean of token accuracy, exact match, token F1, ROUGE-L and chrF / 100.

    Those that were not measured are left out; None without any of them. The formula is this platform's own.
    """
    shares = [metrics[name] / largest for name, largest in QUALITY.items() if name in metrics]
    return sum(shares) / len(shares) if shares else None


def cost_per_1k_tokens(metrics: Mapping[str, float], hourly_price: float | None) -> float | None:
    """What a thousand generated tokens cost on a machine of `hourly_price`, answering one at a time as measured."""
    rate = metrics.get("tokens_per_s")
    return hourly_price / 3600 / rate * 1000 if hourly_price is not None and rate else None


def derived(metrics: Mapping[str, float], *, hourly_price: float | None) -> dict[str, float]:
    """The metrics that follow from measured ones."""
    found = {"quality_score": quality_score(metrics), "cost_per_1k_tokens": cost_per_1k_tokens(metrics, hourly_price)}
    return {name: value for name, value in found.items() if value is not None}


def statuses_before(target: EvaluationStatus) -> frozenset[EvaluationStatus]:
    """Every status from which `target` may be reached in one step."""
    return frozenset(status for status, following in EDGES.items() if target in following)


def is_retried(*, blame: str, retry: bool, attempt: int) -> bool:
    """Whether a failed attempt is followed by another; what the user has to mend never is."""
    return retry and blame != "user" and attempt < MAX_ATTEMPTS


def is_exact(expected: str, generated: str) -> bool:
    """Exact match: the same text, white space at both ends aside."""
    return expected.strip() == generated.strip()


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile: the smallest value that at least `share` of all do not exceed.

    Definition: https://en.wikipedia.org/wiki/Percentile#The_nearest-rank_method. Raises ValueError without values.
    """
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
