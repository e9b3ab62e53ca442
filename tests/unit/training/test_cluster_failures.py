"""What a bad end on a Ray cluster is told as. Needs the extra `ray`."""

from typing import Any

import pytest

pytest.importorskip("ray.train")

from ray.exceptions import ActorDiedError
from ray.train import ControllerError, WorkerGroupError
from ray.train.v2._internal.exceptions import WorkerGroupStartupTimeoutError, WorkerHealthCheckFailedError

from slm_training.worker.cluster.failures import failure_message

DIED = WorkerGroupError("", {1: WorkerHealthCheckFailedError("", failure=ActorDiedError())})
FAILED = WorkerGroupError("", {0: RuntimeError("why")})


def said(code: str, *, lost_peer: bool = False) -> dict[str, Any]:
    """What a process says when it fails."""
    error = {"kind": "error", "code": code, "message": "m", "blame": "b", "retry": False}
    return {**error, "rank": 0, "traceback": "t", "lost_peer": lost_peer}


@pytest.mark.parametrize(
    ("told", "failure", "code"),
    [
        ([], DIED, "node_lost"),
        ([said("training_error", lost_peer=True)], FAILED, "node_lost"),
        ([said("training_error")], DIED, "node_lost"),
        ([], ActorDiedError(), "node_lost"),
        ([said("diverged"), said("diverged")], FAILED, "diverged"),
        ([said("training_error", lost_peer=True), said("out_of_memory")], FAILED, "out_of_memory"),
        ([said("out_of_memory")], DIED, "out_of_memory"),
        ([said("training_error")], FAILED, "training_error"),
        ([], ControllerError(WorkerGroupStartupTimeoutError(2)), "cluster_full"),
        ([], ConnectionError(), "cluster_unreachable"),
        ([], FAILED, "training_error"),
    ],
)
def test_an_end_is_told_by_its_first_cause(told: list[dict[str, Any]], failure: Exception, code: str) -> None:
    message = failure_message(told, failure, processes=2)
    assert message["code"] == code
    assert set(message) == {"kind", "code", "message", "blame", "retry"}
