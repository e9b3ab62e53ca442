"""Evaluations under a lease, on real servers: claimed, kept, ended, lost."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from slm_shared.events.catalogue import EvaluationCompleted, EvaluationFailed, ModelRegistered
from slm_shared.settings import PlatformSettings
from slm_shared.storage.ids import new_id
from slm_testing.events import EventLog
from slm_testing.waiting import eventually

Lease = dict[str, Any]
Make = Callable[..., ModelRegistered]
Handled = Callable[[], Awaitable[None]]
Queue = Callable[[int], Awaitable[list[str]]]
Claim = Callable[..., Awaitable[Lease | None]]
Tell = Callable[..., Awaitable[httpx2.Response]]

SAMPLE = {"prompt": "on", "expected": "yes", "generated": "no", "exact": False}
RESULT: dict[str, Any] = {"rows": 12, "metrics": {"loss": 0.5, "exact_match": 0.25}, "samples": [SAMPLE]}
FAILURE: dict[str, Any] = {"code": "child_died", "message": "It ended.", "blame": "infra", "log_tail": "last words"}
SHORT_LEASES = pytest.mark.parametrize("overrides", [{"lease_ttl_s": 2.0}], ids=["short-leases"])


async def shown(user: httpx2.AsyncClient, lease: Lease) -> dict[str, Any]:
    """The evaluation of a lease as a user sees it."""
    found: dict[str, Any] = (await user.get(f"/api/evaluations/{lease['evaluation_id']}")).json()
    return found


def in_status(user: httpx2.AsyncClient, lease: Lease, status: str) -> Callable[[], Awaitable[bool]]:
    """For `eventually`: the evaluation of a lease stands there."""

    async def check() -> bool:
        return bool((await shown(user, lease))["status"] == status)

    return check


def code_of(answer: httpx2.Response) -> tuple[int, str]:
    """Status and error code."""
    return answer.status_code, answer.json()["code"]


async def claimed(claim: Claim, **fields: Any) -> Lease:
    """The next lease, when it is due."""

    async def check() -> Lease | None:
        return await claim(**fields)

    return await eventually(check)


async def test_a_claim_says_everything_a_worker_needs(
    user: httpx2.AsyncClient,
    events: EventLog,
    base_model: Make,
    tuned_model: Make,
    handled: Handled,
    claim: Claim,
) -> None:
    assert await claim() is None
    base = base_model()
    tuned = tuned_model(base)
    for event in (base, tuned):
        await events.publish(event)
        await handled()
    first, second = await claim(), await claim()
    assert await claim() is None
    assert first is not None
    assert second is not None
    for lease, model in ((first, base), (second, tuned)):
        assert lease == {
            "evaluation_id": lease["evaluation_id"],
            "traceparent": lease["traceparent"],
            "epoch": 1,
            "attempt": 1,
            "model": {
                "id": str(model.model_id),
                "name": model.name,
                "artifact_prefix": model.artifact_prefix,
                "manifest_key": model.manifest_key,
                "signature": None,
                "manifest_sha256": model.manifest_sha256,
            },
            "dataset": {
                "id": str(tuned.evaluation_dataset_id),
                "name": "held-out-v1",
                "object_key": tuned.evaluation_dataset_key,
                "sha256": tuned.evaluation_dataset_sha256,
                "row_format": "prompt/completion",
                "mapping": {"prompt": "question"},
            },
            "settings": {"max_length": 1024, "max_new_tokens": 96, "generations": 64},
            "predictions_prefix": f"evaluations/{lease['evaluation_id']}/e1",
            "lease_ttl_s": 60.0,
            "heartbeat_s": 0.2,
        }
        evaluation = await shown(user, lease)
        assert (evaluation["status"], evaluation["model"]["name"]) == ("running", model.name)
        assert evaluation["started_at"] is not None


async def test_the_same_claim_id_returns_the_same_lease(queue: Queue, claim: Claim) -> None:
    await queue(2)
    claim_id = str(new_id())
    first, again = await claim(claim_id=claim_id), await claim(claim_id=claim_id)
    assert first is not None
    assert again == first
    other = await claim()
    assert other is not None
    assert other["evaluation_id"] != first["evaluation_id"]


async def test_concurrent_claims_share_nothing(queue: Queue, claim: Claim) -> None:
    ids = await queue(3)
    leases = await asyncio.gather(*(claim(worker=f"w{number}") for number in range(10)))
    assert sorted(lease["evaluation_id"] for lease in leases if lease) == sorted(ids)


async def test_what_a_claim_was_granted_is_found_by_an_index(
    user: httpx2.AsyncClient, platform_settings: PlatformSettings, database_name: str
) -> None:
    engine = create_async_engine(platform_settings.database_url(database_name))
    async with engine.connect() as connection:
        found = await connection.scalars(text("SELECT indexdef FROM pg_indexes WHERE tablename = 'evaluation'"))
        assert any(definition.endswith("(claim_id)") for definition in found)
    await engine.dispose()


@SHORT_LEASES
async def test_only_a_lease_that_is_kept_outlives_its_time(
    user: httpx2.AsyncClient, queue: Queue, claim: Claim, tell: Tell, row_of: Callable[[str], Awaitable[Lease]]
) -> None:
    await queue(2)
    kept, lost = await claimed(claim), await claimed(claim)
    step = 0

    async def is_lost() -> bool:
        nonlocal step
        step += 1
        answer = await tell(kept, "heartbeat", step=step)
        assert (answer.status_code, answer.json()) == (200, {"cancel": False, "drain": False})
        return await in_status(user, lost, "queued")()

    await eventually(is_lost)
    assert (await shown(user, kept))["status"] == "running"
    assert (await row_of(kept["evaluation_id"]))["done_rows"] == step


@SHORT_LEASES
async def test_the_worker_of_an_expired_lease_can_write_no_more(
    user: httpx2.AsyncClient, events: EventLog, queue: Queue, claim: Claim, tell: Tell
) -> None:
    await queue(2)
    zombie, other = await claimed(claim), await claimed(claim)
    assert (await tell(other, "complete", **RESULT)).status_code == 204
    await eventually(in_status(user, zombie, "queued"))
    assert code_of(await tell(zombie, "complete", **RESULT)) == (409, "lease_lost")
    fresh = await claimed(claim)
    assert fresh["evaluation_id"] == zombie["evaluation_id"]
    assert (fresh["epoch"], fresh["attempt"]) == (2, 2)
    assert fresh["predictions_prefix"].endswith("/e2")
    assert code_of(await tell(zombie, "complete", **RESULT)) == (409, "lease_lost")
    assert (await tell(fresh, "complete", **RESULT | {"rows": 5})).status_code == 204
    await events.wait_for(EvaluationCompleted, lambda event: event.rows == 5)
    assert (await shown(user, fresh))["rows"] == 5
    assert len(await events.all(EvaluationCompleted)) == 2


async def test_a_completed_evaluation_is_announced_once(
    user: httpx2.AsyncClient, events: EventLog, queue: Queue, claim: Claim, tell: Tell
) -> None:
    await queue(2)
    lease = await claimed(claim)
    assert (await tell(lease, "start")).status_code == 204
    for _ in range(2):
        assert (await tell(lease, "complete", **RESULT)).status_code == 204
    evaluation = await shown(user, lease)
    assert (evaluation["status"], evaluation["progress"], evaluation["rows"]) == ("completed", 1.0, 12)
    metrics = RESULT["metrics"] | {"quality_score": 0.25}
    assert evaluation["metrics"] == metrics
    assert [each | SAMPLE for each in evaluation["samples"]] == evaluation["samples"]
    assert evaluation["started_at"] < evaluation["completed_at"]
    assert evaluation["error"] is None
    # The outbox keeps its order: once the later evaluation is announced, a second word on the first would be out too.
    later = await claimed(claim)
    await tell(later, "complete", **RESULT)
    await events.wait_for(EvaluationCompleted, lambda event: str(event.evaluation_id) == later["evaluation_id"])
    first, _ = await events.all(EvaluationCompleted)
    assert first.model_dump(mode="json") == {
        "evaluation_id": lease["evaluation_id"],
        "model_id": lease["model"]["id"],
        "model_name": "nano-v1",
        "dataset_id": lease["dataset"]["id"],
        "dataset_name": "held-out-v1",
        "rows": 12,
        "metrics": metrics,
        "started_at": evaluation["started_at"],
    }
    assert await claim() is None


@pytest.mark.parametrize(
    ("verb", "body"),
    [("start", {}), ("heartbeat", {"step": 99}), ("complete", RESULT), ("fail", FAILURE), ("release", {})],
)
async def test_a_write_under_another_epoch_changes_nothing(
    user: httpx2.AsyncClient, queue: Queue, claim: Claim, tell: Tell, verb: str, body: dict[str, Any]
) -> None:
    await queue(2)
    stale = await claimed(claim)
    await tell(stale, "release")
    lease = await claimed(claim)
    assert (lease["evaluation_id"], lease["epoch"]) == (stale["evaluation_id"], 2)
    before = await shown(user, lease)
    for epoch in (1, 3):
        assert code_of(await tell(lease | {"epoch": epoch}, verb, **body)) == (409, "lease_lost")
    assert await shown(user, lease) == before
    assert (await tell(lease, "heartbeat")).status_code == 200


@pytest.mark.parametrize("verb", ["start", "heartbeat", "release"])
async def test_an_evaluation_that_is_none_has_no_lease(tell: Tell, verb: str) -> None:
    answer = await tell({"evaluation_id": str(new_id()), "epoch": 1}, verb)
    assert code_of(answer) == (404, "evaluation_not_found")


async def test_an_ended_evaluation_has_no_lease(
    user: httpx2.AsyncClient, queue: Queue, claim: Claim, tell: Tell
) -> None:
    await queue(2)
    lease = await claimed(claim)
    await tell(lease, "complete", **RESULT)
    for verb, body in (("start", {}), ("heartbeat", {}), ("fail", FAILURE), ("release", {})):
        assert code_of(await tell(lease, verb, **body)) == (409, "lease_lost")
    assert (await shown(user, lease))["status"] == "completed"


async def test_an_attempt_that_failed_is_tried_again_until_it_is_the_last(
    user: httpx2.AsyncClient, events: EventLog, queue: Queue, claim: Claim, tell: Tell
) -> None:
    await queue(2)
    first, other = await claimed(claim), await claimed(claim)
    await tell(other, "complete", **RESULT)
    assert (await tell(first, "fail", **FAILURE, retry=True)).status_code == 204
    waiting = await shown(user, first)
    assert (waiting["status"], waiting["error"]) == ("queued", None)
    second = await claimed(claim)
    await tell(second, "fail", **FAILURE, retry=True)
    third = await claimed(claim)
    assert [lease["attempt"] for lease in (first, second, third)] == [1, 2, 3]
    assert {lease["evaluation_id"] for lease in (second, third)} == {first["evaluation_id"]}
    assert await events.all(EvaluationFailed) == []
    await tell(third, "fail", **FAILURE | {"log_tail": "x" * 9000 + "end"}, retry=True)
    evaluation = await shown(user, first)
    assert evaluation["status"] == "failed"
    error = evaluation["error"]
    assert {name: error[name] for name in ("code", "message", "blame")} == {
        "code": "child_died",
        "message": "It ended.",
        "blame": "infra",
    }
    assert error["log_tail"].endswith("xend")
    assert len(error["log_tail"]) == 8000
    failed = await events.wait_for(EvaluationFailed)
    assert failed.model_dump(mode="json") == {
        "evaluation_id": first["evaluation_id"],
        "model_id": first["model"]["id"],
        "model_name": "nano-v1",
        "dataset_id": first["dataset"]["id"],
        "dataset_name": "held-out-v1",
        "code": "child_died",
        "message": "It ended.",
        "started_at": evaluation["started_at"],
    }
    assert code_of(await tell(third, "fail", **FAILURE)) == (409, "lease_lost")
    assert len(await events.all(EvaluationFailed)) == 1


@pytest.mark.parametrize(("blame", "retry"), [("user", True), ("user", False), ("system", False), ("infra", False)])
async def test_what_no_retry_can_mend_fails_at_once(
    user: httpx2.AsyncClient, events: EventLog, queue: Queue, claim: Claim, tell: Tell, blame: str, retry: bool
) -> None:
    await queue(2)
    lease = await claimed(claim)
    await tell(lease, "fail", **FAILURE | {"blame": blame}, retry=retry)
    evaluation = await shown(user, lease)
    assert (evaluation["status"], evaluation["error"]) == ("failed", FAILURE | {"blame": blame})
    assert evaluation["completed_at"] is not None
    failed = await events.wait_for(EvaluationFailed)
    assert (str(failed.evaluation_id), failed.code) == (lease["evaluation_id"], "child_died")


async def test_a_released_evaluation_is_due_at_once_and_loses_no_attempt(
    user: httpx2.AsyncClient, queue: Queue, claim: Claim, tell: Tell
) -> None:
    ids = await queue(2)
    for epoch in range(1, 6):
        lease = await claim()
        assert lease is not None
        assert (lease["evaluation_id"], lease["epoch"], lease["attempt"]) == (ids[0], epoch, 1)
        assert (await tell(lease, "release")).status_code == 204
        assert (await shown(user, lease))["status"] == "queued"


async def test_a_restarted_worker_frees_only_its_own_evaluation(
    user: httpx2.AsyncClient, worker: httpx2.AsyncClient, queue: Queue, claim: Claim, tell: Tell
) -> None:
    await queue(2)
    mine, other = await claimed(claim, worker="evaluator-1"), await claimed(claim, worker="evaluator-2")
    answer = await worker.post("/api/evaluation-leases:forget", json={"worker": "evaluator-1"})
    assert answer.status_code == 204
    assert (await shown(user, mine))["status"] == "queued"
    assert code_of(await tell(mine, "complete", **RESULT)) == (409, "lease_lost")
    assert (await tell(other, "heartbeat", step=1)).status_code == 200
    again = await claimed(claim, worker="evaluator-1")
    assert (again["evaluation_id"], again["epoch"]) == (mine["evaluation_id"], 2)


@pytest.mark.parametrize(
    "changes",
    [
        {"rows": 0},
        {"rows": "12"},
        {"rows": True},
        {"metrics": {"loss": "1.5"}},
        {"metrics": {f"m{number}": 1.0 for number in range(201)}},
        {"samples": [SAMPLE] * 21},
        {"samples": [{"prompt": "on"}]},
        {"status": "completed"},
        {"epoch": 0},
        {"predictions_key": "datasets/else/canonical.parquet"},
        {"predictions_key": "evaluations/e1/../secret"},
    ],
)
async def test_results_that_are_none_are_refused(
    user: httpx2.AsyncClient, queue: Queue, claim: Claim, tell: Tell, changes: dict[str, Any]
) -> None:
    await queue(2)
    lease = await claimed(claim)
    answer = await tell(lease, "complete", **RESULT | changes)
    assert answer.status_code == 422
    assert (await shown(user, lease))["status"] == "running"


async def test_numbers_that_are_not_finite_are_refused(
    worker: httpx2.AsyncClient, user: httpx2.AsyncClient, queue: Queue, claim: Claim
) -> None:
    await queue(2)
    lease = await claimed(claim)
    for number in ("NaN", "Infinity", "1e999"):
        body = f'{{"epoch": 1, "rows": 1, "samples": [], "metrics": {{"loss": {number}}}}}'
        answer = await worker.post(
            f"/api/evaluation-leases/{lease['evaluation_id']}:complete",
            content=body,
            headers={"Content-Type": "application/json"},
        )
        assert answer.status_code == 422
    assert (await shown(user, lease))["status"] == "running"
