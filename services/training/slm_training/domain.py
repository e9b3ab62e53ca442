"""States of a run and the rules between them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol


class RunState(StrEnum):
    """Where a run stands."""

    DRAFT = "draft"
    QUEUED = "queued"
    LEASED = "leased"
    RUNNING = "running"
    PAUSING = "pausing"
    PAUSED = "paused"
    COMPLETING = "completing"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    DEAD_LETTER = "dead_letter"


class ExperimentStatus(StrEnum):
    """What a user is told of a run's experiment."""

    DRAFT = "draft"
    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


S = RunState
EDGES: dict[RunState, frozenset[RunState]] = {
    S.DRAFT: frozenset({S.QUEUED}),
    S.QUEUED: frozenset({S.LEASED, S.PAUSED, S.CANCELLED}),
    S.LEASED: frozenset({S.RUNNING, S.QUEUED, S.PAUSING, S.CANCELLING, S.FAILED, S.DEAD_LETTER}),
    S.RUNNING: frozenset({S.COMPLETING, S.QUEUED, S.PAUSING, S.CANCELLING, S.FAILED, S.DEAD_LETTER}),
    S.PAUSING: frozenset({S.PAUSED, S.COMPLETING, S.CANCELLING, S.FAILED, S.DEAD_LETTER}),
    S.PAUSED: frozenset({S.QUEUED, S.CANCELLED}),
    S.COMPLETING: frozenset({S.SUCCEEDED, S.QUEUED, S.FAILED, S.DEAD_LETTER}),
    S.CANCELLING: frozenset({S.CANCELLED}),
    S.SUCCEEDED: frozenset(),
    S.FAILED: frozenset(),
    S.CANCELLED: frozenset(),
    S.DEAD_LETTER: frozenset(),
}
WORKING = frozenset({S.LEASED, S.RUNNING, S.PAUSING, S.COMPLETING, S.CANCELLING})
TERMINAL = frozenset(state for state, following in EDGES.items() if not following)

STATUS_OF: dict[RunState, ExperimentStatus] = {
    S.DRAFT: ExperimentStatus.DRAFT,
    S.QUEUED: ExperimentStatus.QUEUED,
    S.LEASED: ExperimentStatus.QUEUED,
    S.RUNNING: ExperimentStatus.RUNNING,
    S.PAUSING: ExperimentStatus.RUNNING,
    S.PAUSED: ExperimentStatus.PAUSED,
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
# Also for a run that comes a little further each time: it would hold a worker for ever.
MAX_TOTAL_FAILURES = 20
MAX_OUT_OF_MEMORY = 2
FIRST_RETRY_S = 10.0
LONGEST_RETRY_S = 360.0


class Failure(Protocol):
    """How an attempt ended badly, as `slm_shared.jobs.protocol` says it."""

    code: str
    blame: Any
    retry: bool


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


# The newest may turn out damaged; two more to fall back on.
KEPT_CHECKPOINTS = 3


def lost_steps(attempts: Sequence[tuple[int, int]]) -> list[int]:
    """How many optimiser steps each attempt made in vain.

    `attempts` has, oldest first, the step each went on from and the last it made; what an attempt made beyond the point
    from which the next one went on is lost.
    """
    # Nothing went on after the newest attempt: none of its steps is lost.
    went_on = [*(resumed_from for resumed_from, _ in attempts[1:]), *(last for _, last in attempts[-1:])]
    return [max(0, last - resumed) for (_, last), resumed in zip(attempts, went_on, strict=True)]


TRAINABLE_FORMATS = ("prompt/completion", "messages", "text", "chosen/rejected")
PREFERENCES = "chosen/rejected"


class Objective(StrEnum):
    """What a training minimises: the loss on completions, on whole texts, or on preferred over rejected answers."""

    SFT = "sft"
    PRETRAIN = "pretrain"
    DPO = "dpo"


# What rows of a format are trained for when nothing else is asked.
OBJECTIVE_OF = {
    "prompt/completion": Objective.SFT,
    "messages": Objective.SFT,
    "text": Objective.PRETRAIN,
    PREFERENCES: Objective.DPO,
}

OBJECTIVES_FOR = {
    "prompt/completion": frozenset({Objective.SFT}),
    "messages": frozenset({Objective.SFT}),
    "text": frozenset({Objective.PRETRAIN, Objective.SFT}),
    PREFERENCES: frozenset({Objective.DPO, Objective.SFT}),
}
DEFAULT_LEARNING_RATES = {
    (Objective.SFT, "full"): 2e-3,
    (Objective.SFT, "lora"): 5e-3,
    (Objective.PRETRAIN, "full"): 2e-3,
    (Objective.PRETRAIN, "lora"): 5e-3,
    (Objective.DPO, "full"): 1e-4,
    (Objective.DPO, "lora"): 5e-4,
}
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


@dataclass(frozen=True)
class Capabilities:
    """What a worker has: its device (`cpu` or `gpu`), the memory of that in GB, and a core for each process."""

    device: str = "cpu"
    memory_gb: float = 1e9
    cores: int = 64

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> "Capabilities":
        """From what a worker said of itself; what it does not say counts as enough for everything."""
        return cls(**{name: said[name] for name in cls.__dataclass_fields__ if said.get(name) is not None})


def lacks(needs: Mapping[str, Any], able: Capabilities) -> str | None:
    """What a worker is missing for a run, in words, or None when it can do it."""
    if needs.get("device", able.device) != able.device:
        return f"a {needs['device']}"
    if needs.get("memory_gb", 0) > able.memory_gb:
        return f"{needs['memory_gb']:g} GB of memory"
    if needs.get("processes", 1) > able.cores:
        return f"{needs['processes']} processor cores"
    return None


def least_and_greatest(points: Sequence[tuple[int, float | None]], limit: int) -> list[tuple[int, float | None]]:
    """At most `limit` (4 or more) of many points in order of step: the first, the last, and of each stretch between
    the least and the greatest value, so that no peak is lost."""
    if len(points) <= limit:
        return list(points)
    first, last = points[0][0], points[-1][0]
    stretches = max(1, (limit - 2) // 2)
    width = (last - first + 1) / stretches
    kept: dict[int, tuple[tuple[int, float], tuple[int, float]]] = {}
    for step, value in points:
        if value is None:
            continue
        stretch = int((step - first) / width)
        here = (step, value)
        low, high = kept.get(stretch, (here, here))
        kept[stretch] = (here if value < low[1] else low, here if value > high[1] else high)
    chosen = {point for pair in kept.values() for point in pair}
    return sorted({points[0], points[-1], *chosen}, key=lambda point: point[0])


def halved(config: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The same effective batch with half the rows in memory, or None when a batch is one row already."""
    rows, processes = int(config["batch_size"]), int(config.get("num_processes", 1))
    if rows % 2 or rows // 2 < processes or (rows // 2) % processes:
        return None
    accumulation = int(config.get("gradient_accumulation_steps", 1))
    return {**config, "batch_size": rows // 2, "gradient_accumulation_steps": accumulation * 2}
