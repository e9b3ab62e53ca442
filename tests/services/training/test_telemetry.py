"""Metric points and log lines: stored once, shown in order, and never for a lease that is gone."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from slm_local.ports import LOOPBACK, free_port
from slm_shared.background import running_in_background
from slm_shared.delivery.broker import Broker
from slm_shared.events.catalogue import LogLine, MetricPoint, TelemetryBatch, telemetry_subject
from slm_shared.events.topology import TELEMETRY, migrate_topology
from slm_shared.storage.database import Database
from slm_shared.storage.ids import new_id
from slm_testing.waiting import eventually
from slm_training.service.telemetry import BATCH, TelemetryIntake
from tests.support.nats_server import own_nats
from tests.support.training import TrainingPlatform

NOW = datetime(2026, 1, 2, tzinfo=UTC)


async def send(platform: TrainingPlatform, *batches: TelemetryBatch, raw: bytes | None = None) -> None:
    broker = Broker(platform.settings.nats_url, name="tests")
    jetstream = await broker.jetstream()
    for batch in batches:
        await jetstream.publish(
            telemetry_subject(batch.experiment_id), raw or batch.model_dump_json().encode(), stream=TELEMETRY
        )
    await broker.close()


def batch(lease: dict[str, Any], number: int, losses: dict[int, float | None], *, epoch: int = 1) -> TelemetryBatch:
    return TelemetryBatch(
        experiment_id=UUID(lease["experiment_id"]),
        epoch=epoch,
        batch=number,
        points=[MetricPoint(step=step, name="loss", value=value, time=NOW) for step, value in losses.items()],
        lines=[LogLine(time=NOW, level="info", message=f"line {number}")],
    )


async def series(
    platform: TrainingPlatform, lease: dict[str, Any], name: str = "loss"
) -> list[tuple[int, float | None]]:
    path = f"/api/experiments/{lease['experiment_id']}/metrics?name={name}"
    found = (await platform.training.get(path)).json()["series"]
    return [(point["step"], point["value"]) for point in found.get(name, [])]


@pytest.fixture
async def lease(platform: TrainingPlatform) -> Any:
    await platform.dataset("rows")
    await platform.launch()
    return await platform.started()


async def test_what_arrives_twice_or_out_of_order_is_one_series(
    platform: TrainingPlatform, lease: dict[str, Any]
) -> None:
    second, first = batch(lease, 1, {3: 1.0, 4: None}), batch(lease, 0, {1: 3.0, 2: 2.0})
    await send(platform, second, first, second, first)

    async def is_there() -> bool:
        return len(await series(platform, lease)) == 4

    await eventually(is_there)
    assert await series(platform, lease) == [(1, 3.0), (2, 2.0), (3, 1.0), (4, None)]
    log = (await platform.training.get(f"/api/experiments/{lease['experiment_id']}/log")).json()["lines"]
    assert sorted(line["message"] for line in log) == ["line 0", "line 1"]
    later = f"/api/experiments/{lease['experiment_id']}/log?after={log[0]['seq']}"
    assert [line["seq"] for line in (await platform.training.get(later)).json()["lines"]] == [log[1]["seq"]]


async def test_progress_follows_the_newest_lease_only(platform: TrainingPlatform, lease: dict[str, Any]) -> None:
    await platform.tell(lease, "release")
    newer = await platform.started("trainer-2")
    await send(platform, batch(newer, 0, {1: 5.0}, epoch=2), batch(lease, 7, {90: 0.1}, epoch=1))

    async def is_stored() -> bool:
        log = (await platform.training.get(f"/api/experiments/{lease['experiment_id']}/log")).json()["lines"]
        return len(log) == 2

    await eventually(is_stored)
    experiment = (await platform.training.get(f"/api/experiments/{lease['experiment_id']}")).json()
    assert experiment["progress"] == {"step": 1, "loss": 5.0}
    assert await series(platform, newer) == [(1, 5.0)]


async def test_a_batch_that_cannot_be_read_stops_nothing(platform: TrainingPlatform, lease: dict[str, Any]) -> None:
    await send(platform, batch(lease, 0, {1: 1.0}), raw=b"\xff not json")
    await send(platform, batch(lease, 1, {2: 2.0}))

    async def is_there() -> bool:
        return await series(platform, lease) == [(2, 2.0)]

    assert await eventually(is_there)


async def test_without_its_database_the_intake_takes_no_more_and_leaves_no_subscription_behind(tmp_path: Path) -> None:
    sent = batch({"experiment_id": str(new_id())}, 0, {1: 3.0})
    async with own_nats(tmp_path) as nats:
        broker = Broker(nats.url, name="test")
        jetstream = await broker.jetstream()
        await migrate_topology(jetstream)
        before = await nats.inboxes()
        for _ in range(3 * BATCH):
            body = sent.model_dump_json().encode()
            await jetstream.publish(telemetry_subject(sent.experiment_id), body, stream=TELEMETRY)
        intake = TelemetryIntake(Database(f"postgresql+asyncpg://u@{LOOPBACK}:{free_port()}/x"), broker)

        async def told() -> bool:
            return "database" in (intake.problem() or "")

        async with running_in_background([intake]):
            await eventually(told)
        assert await nats.inboxes() == before
        assert (await jetstream.consumer_info(TELEMETRY, "training-telemetry")).num_ack_pending <= BATCH
        await broker.close()
