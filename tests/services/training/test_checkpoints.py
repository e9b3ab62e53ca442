"""Checkpoints of runs: registered by who holds the lease, handed to the next attempt, and what was lost is told."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from slm_shared.delivery.broker import Broker
from slm_shared.events.catalogue import MetricPoint, TelemetryBatch, telemetry_subject
from slm_shared.events.topology import TELEMETRY
from slm_shared.http.provided import given
from slm_shared.storage.database import Database
from slm_testing.waiting import eventually
from tests.support.training import TrainingPlatform

CRASH = {"code": "boom", "message": "It broke.", "blame": "system", "retry": True}


@pytest.fixture
async def run(platform: TrainingPlatform) -> Any:
    await platform.dataset("rows")
    return await platform.launch()


async def store(platform: TrainingPlatform, lease: dict[str, Any], step: int) -> Any:
    """Register a checkpoint; the answer."""
    return await platform.tell(lease, "checkpoint", step=step, manifest_sha256=f"{step:064x}", size_bytes=10)


async def fail(platform: TrainingPlatform, lease: dict[str, Any]) -> None:
    assert (await platform.tell(lease, "fail", **CRASH)).status_code == 204
    async with given(platform.app, Database).connection() as connection:
        await connection.exec_driver_sql("UPDATE run SET retry_at = now()")


async def report(platform: TrainingPlatform, lease: dict[str, Any], steps: range) -> None:
    """What a trainer sends of these steps; its loss is the epoch of its lease."""
    points = [MetricPoint(step=step, name="loss", value=lease["epoch"], time=datetime.now(UTC)) for step in steps]
    batch = TelemetryBatch(experiment_id=UUID(lease["experiment_id"]), epoch=lease["epoch"], batch=0, points=points)
    broker = Broker(platform.settings.nats_url, name="tests")
    jetstream = await broker.jetstream()
    subject = telemetry_subject(batch.experiment_id)
    await jetstream.publish(subject, batch.model_dump_json().encode(), stream=TELEMETRY)
    await broker.close()


async def test_the_next_attempt_is_told_of_the_newest_three(platform: TrainingPlatform, run: dict[str, Any]) -> None:
    lease = await platform.started()
    assert lease["checkpoints"] == []
    for step in (10, 20, 30):
        assert (await store(platform, lease, step)).json() == {"obsolete": []}
    prefix = f"runs/{run['id']}/checkpoints/e1"
    assert (await store(platform, lease, 40)).json() == {"obsolete": [f"{prefix}/00000010"]}
    await fail(platform, lease)
    again = await platform.claim("trainer-2")
    assert [each["step"] for each in again["checkpoints"]] == [40, 30, 20]
    assert again["checkpoints"][0] == {"step": 40, "prefix": f"{prefix}/00000040", "manifest_sha256": f"{40:064x}"}
    assert again["checkpoint_prefix"] == f"runs/{run['id']}/checkpoints/e2"


async def test_a_worker_without_the_lease_registers_none(platform: TrainingPlatform, run: dict[str, Any]) -> None:
    del run
    old = await platform.started()
    await platform.tell(old, "release")
    new = await platform.started("trainer-2")
    for verb, body in (("checkpoint", {"manifest_sha256": "0" * 64, "size_bytes": 1}), ("resume", {})):
        answer = await platform.tell(old, verb, step=5, **body)
        assert (answer.status_code, answer.json()["code"]) == (409, "lease_lost")
    await platform.tell(new, "release")
    assert (await platform.claim())["checkpoints"] == []


async def test_checkpoints_that_could_not_be_used_are_forgotten(
    platform: TrainingPlatform, run: dict[str, Any]
) -> None:
    del run
    lease = await platform.started()
    for step in (10, 20):
        await store(platform, lease, step)
    await fail(platform, lease)
    second = await platform.started()
    assert (await platform.tell(second, "resume", step=10)).status_code == 204
    await store(platform, second, 20)
    await fail(platform, second)
    third = await platform.claim()
    assert [each["prefix"].rsplit("/", 2)[1:] for each in third["checkpoints"]] == [
        ["e2", "00000020"],
        ["e1", "00000010"],
    ]


async def test_attempts_tell_where_they_went_on_and_what_was_lost(
    platform: TrainingPlatform, run: dict[str, Any]
) -> None:
    first = await platform.started()
    await report(platform, first, range(1, 26))
    await store(platform, first, 20)
    await fail(platform, first)
    second = await platform.started()
    await platform.tell(second, "resume", step=20)
    await report(platform, second, range(21, 41))

    async def losses() -> list[float]:
        answer = await platform.training.get(f"/api/experiments/{run['experiment_id']}/metrics?name=loss")
        return [point["value"] for point in answer.json()["series"].get("loss", [])]

    async def all_there() -> bool:
        return len(await losses()) == 40

    await eventually(all_there)
    assert await losses() == [1.0] * 20 + [2.0] * 20
    attempts = (await platform.experiment(run))["attempts"]
    told = [(each["resumed_from_step"], each["last_step"], each["lost_steps"]) for each in attempts]
    assert told == [(0, 25, 5), (20, 40, 0)]


async def test_a_run_that_comes_further_is_not_given_up_after_five_failures(
    platform: TrainingPlatform, run: dict[str, Any]
) -> None:
    for number in range(7):
        lease = await platform.started()
        await store(platform, lease, number + 1)
        await fail(platform, lease)
    assert (await platform.experiment(run))["status"] == "queued"
    for _ in range(4):
        await fail(platform, await platform.started())
    assert (await platform.experiment(run))["state"] == "dead_letter"


async def test_twenty_failures_are_enough_even_with_progress(platform: TrainingPlatform, run: dict[str, Any]) -> None:
    for number in range(20):
        lease = await platform.started()
        await store(platform, lease, number + 1)
        await fail(platform, lease)
    assert (await platform.experiment(run))["state"] == "dead_letter"
