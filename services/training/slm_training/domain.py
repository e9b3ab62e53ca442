"""States of a run and the rules between them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class RunState(StrEnum):
    """Where a run stands."""

    QUEUED = "queued"
    LEASED = "leased"
    RUNNING = "running"
    COMPLETING = "completing"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    DEAD_LETTER = "dead_letter"


class ExperimentStatus(StrEnum):
    """What a user is told of a run's experiment."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


S = RunState
EDGES: dict[RunState, frozenset[RunState]] = {
    S.QUEUED: frozenset({S.LEASED, S.CANCELLED}),
    S.LEASED: frozenset({S.RUNNING, S.QUEUED, S.CANCELLING, S.FAILED, S.DEAD_LETTER}),
    S.RUNNING: frozenset({S.COMPLETING, S.QUEUED, S.CANCELLING, S.FAILED, S.DEAD_LETTER}),
    S.COMPLETING: frozenset({S.SUCCEEDED, S.QUEUED, S.FAILED, S.DEAD_LETTER}),
    S.CANCELLING: frozenset({S.CANCELLED}),
    S.SUCCEEDED: frozenset(),
    S.FAILED: frozenset(),
    S.CANCELLED: frozenset(),
    S.DEAD_LETTER: frozenset(),
}
WORKING = frozenset({S.LEASED, S.RUNNING, S.COMPLETING, S.CANCELLING})
TERMINAL = frozenset(state for state, following in EDGES.items() if not following)

STATUS_OF: dict[RunState, ExperimentStatus] = {
    S.QUEUED: ExperimentStatus.QUEUED,
    S.LEASED: ExperimentStatus.QUEUED,
    S.RUNNING: ExperimentStatus.RUNNING,
    S.COMPLETING: ExperimentStatus.RUNNING,
    S.CANCELLING: ExperimentStatus.RUNNING,
    S.SUCCEEDED: ExperimentStatus.COMPLETED,
    S.FAILED: ExperimentStatus.FAILED,
    S.CANCELLED: ExperimentStatus.CANCELLED,
    S.DEAD_LETTER: ExperimentStatus.FAILED,
}


def states_before(target: RunState) -> frozenset[RunState]:
    """Every state from which `target` may be reached in one step."""
    return frozenset(state for state, following in EDGES.items() if target in following)


def states_shown_as(status: ExperimentStatus) -> frozenset[RunState]:
    """Every run state that a user sees as `status`."""
    return frozenset(state for state, shown in STATUS_OF.items() if shown is status)


MAX_FAILURES = 5
MAX_TOTAL_FAILURES = 20
MAX_OUT_OF_MEMORY = 2
FIRST_RETRY_S = 10.0
LONGEST_RETRY_S = 360.0


@dataclass(frozen=True)
class Failure:
    """How an attempt ended badly; `log_tail` is the last that the trainer wrote."""

    code: str
    message: str
    blame: str
    retry: bool
    log_tail: str = ""


@dataclass(frozen=True)
class Verdict:
    """What follows from a failed attempt: a state, and for a queued run the pause before the next attempt."""

    state: RunState
    retry_after_s: float = 0.0


def judge(failure: Failure, *, failures: int, total_failures: int = 0) -> Verdict:
    """What becomes of a run whose attempt failed.

    `failures` counts the bad ends since its last new checkpoint, `total_failures` all; both count this one. What the
    user has to mend is never tried again; running out of memory once; everything else until five attempts in a row came
    no further or twenty have failed, with a pause that doubles from 10 s to 6 minutes.
    """
    limit = MAX_OUT_OF_MEMORY if failure.code == "out_of_memory" else MAX_FAILURES
    if failure.blame == "user" or not failure.retry:
        return Verdict(S.FAILED)
    if failures >= limit or total_failures >= MAX_TOTAL_FAILURES:
        return Verdict(S.FAILED if failure.code == "out_of_memory" else S.DEAD_LETTER)
    return Verdict(S.QUEUED, min(LONGEST_RETRY_S, FIRST_RETRY_S * 2 ** (failures - 1)))


KEPT_CHECKPOINTS = 3


def lost_steps(attempts: Sequence[tuple[int, int]]) -> list[int]:
    """How many optimiser steps each attempt made in vain.

    `attempts` has, oldest first, the step each went on from and the last it made; what an attempt made beyond the point
    from which the next one went on is lost.
    """
    following = [resumed_from for resumed_from, _ in attempts[1:]]
    return [max(0, last - resumed) for (_, last), resumed in zip(attempts, following, strict=False)] + (
        [0] if attempts else []
    )


LOST = Failure("worker_lost", "The trainer stopped answering.", "infra", retry=True)
TRAINABLE_FORMATS = ("prompt/completion", "messages", "text")
MAX_FAMILY_LENGTH = 80


def without_version(family: str) -> str:
    """The family as it is. Raises ValueError for one that reads like a version of another, such as `commands-v2`."""
    if re.search(r"-v\d+$", family):
        raise ValueError("must not end in -v and a number, as the names of versions do")
    return family


def family_of(name: str) -> str:
    """The model family a run's name stands for: lower case words joined by hyphens."""
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return re.sub(r"-v\d+$", "", slug[:MAX_FAMILY_LENGTH].strip("-")) or "model"
