"""Rules of evaluations: states, retries, and the metrics that are not the torch side's."""

import math
from collections.abc import Sequence
from enum import StrEnum


class EvaluationStatus(StrEnum):
    """Where an evaluation stands."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"


S = EvaluationStatus
EDGES: dict[EvaluationStatus, frozenset[EvaluationStatus]] = {
    S.QUEUED: frozenset({S.RUNNING}),
    S.RUNNING: frozenset({S.COMPLETED, S.FAILED, S.QUEUED}),
    S.COMPLETED: frozenset(),
    S.FAILED: frozenset(),
}
MAX_ATTEMPTS = 3
RETRY_S = 5.0


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
