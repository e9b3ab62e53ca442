"""What a bad end on the cluster means: one code and one line, whatever Ray and the processes had to say about it."""

from collections.abc import Iterator, Sequence
from typing import Any

from ray.exceptions import RayActorError
from ray.train import ControllerError, WorkerGroupError
from ray.train.v2._internal.exceptions import (
    InsufficientClusterResourcesError,
    WorkerGroupStartupFailedError,
    WorkerGroupStartupTimeoutError,
    WorkerHealthCheckFailedError,
    WorkerHealthCheckTimeoutError,
)
from ray.train.v2.api.exceptions import PreemptionError

from slm_training.worker.errors import UNEXPECTED

Message = dict[str, Any]

LOSSES = (
    PreemptionError,
    RayActorError,
    WorkerGroupStartupFailedError,
    WorkerHealthCheckFailedError,
    WorkerHealthCheckTimeoutError,
)
NO_ROOM = (InsufficientClusterResourcesError, WorkerGroupStartupTimeoutError)
NODE_LOST = "A node of the Ray cluster, or a process on it, was lost during the training."
UNREACHABLE = "The Ray cluster could not be reached."


def failure_message(told: Sequence[Message], failure: Exception | None, *, processes: int) -> Message:
    """The error for the supervisor. `told` is what the processes said, in order; `failure` is how Ray Train ended.

    When one process is lost the others fail too, at their next exchange with it: that is told as the loss it is. An
    error that a process found in itself comes before everything that followed from it.
    """
    lost = any(isinstance(each, LOSSES) for each in _causes(failure))
    own = [each for each in told if not each["lost_peer"] and not (lost and each["code"] == UNEXPECTED)]
    if own:
        return {name: own[0][name] for name in ("kind", "code", "message", "blame", "retry")}
    if lost or told:
        return error("node_lost", NODE_LOST)
    if any(isinstance(each, NO_ROOM) for each in _causes(failure)):
        what = f"The Ray cluster had no room in time for {processes} process{'' if processes == 1 else 'es'}."
        return error("cluster_full", what)
    if isinstance(failure, ConnectionError):
        return error("cluster_unreachable", UNREACHABLE)
    what = f"Ray ended the training with an unexpected {type(failure).__name__}; the log has the details."
    return error(UNEXPECTED, what, blame="system")


def error(code: str, message: str, *, blame: str = "infra") -> Message:
    """An error that may be gone at the next attempt."""
    return {"kind": "error", "code": code, "message": message, "blame": blame, "retry": True}


def _causes(failure: BaseException | None) -> Iterator[BaseException]:
    """What Ray wrapped, from the outside in."""
    while failure is not None:
        yield failure
        if isinstance(failure, WorkerGroupError):
            yield from failure.worker_failures.values()
        failure = failure.controller_failure if isinstance(failure, ControllerError) else failure.__cause__
