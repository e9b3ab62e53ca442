"""The whole worker on real NATS and S3, with a real child that really trains."""

import asyncio
import json
import os
import signal
from collections.abc import Awaitable, Callable
from glob import glob
from pathlib import Path
from typing import Any

import pytest

from slm_shared.delivery.broker import Broker
from slm_shared.events.catalogue import RunLaunched, TelemetryBatch, telemetry_subject
from slm_shared.events.topology import TELEMETRY
from slm_shared.settings import PlatformSettings
from slm_shared.storage import manifest
from slm_shared.storage.ids import new_id
from slm_shared.storage.objects import ObjectStore
from slm_testing.events import EventLog
from slm_testing.waiting import eventually
from tests.support.disks import small_disk
from tests.support.lease_service import LeaseService
from tests.support.memory import own_memory_group
from tests.support.trainer import gone, progressed, said, stored_locally, trainer, training_child

MakeLease = Callable[..., Awaitable[dict[str, Any]]]
pytestmark = pytest.mark.usefixtures("events")


async def test_a_wake_up_leads_to_a_stored_artifact(
    lease_service: tuple[LeaseService, PlatformSettings],
    make_lease: MakeLease,
    store: ObjectStore,
    events: EventLog,
    tmp_path: Path,
) -> None:
    service, platform = lease_service
    lease = await make_lease(rows=96)
    async with trainer(platform, tmp_path):
        service.leases.append(lease)
        await events.publish(launched(lease))
        done = await eventually(said(service, "complete"), timeout_s=60)
    assert [verb for verb, _ in service.told if verb in ("forget", "start", "complete")] == [
        "forget",
        "start",
        "complete",
    ]
    assert done["epoch"] == 1
    assert done["steps"] == 12
    assert done["manifest_key"] == f"{lease['artifact_prefix']}/manifest.json"
    assert set(done["versions"]) == {"torch", "transformers", "trl", "peft", "python", "slm-platform"}
    stored = await manifest.verify(store, lease["artifact_prefix"], done["manifest_sha256"])
    names = {file.path for file in stored.files}
    assert {"model.safetensors", "config.json", "tokenizer.json", "chat_template.jinja", "training.json"} <= names
    assert stored.size_bytes == done["size_bytes"]
    batches = await telemetry_of(platform, lease["experiment_id"])
    losses = [point.value for batch in batches for point in batch.points if point.name == "loss"]
    assert len(losses) == 12
    assert losses[0] is not None
    assert losses[-1] is not None
    assert losses[-1] < losses[0]
    assert [batch.batch for batch in batches] == list(range(len(batches)))
    assert any(line.message.startswith("Training nano-v1") for batch in batches for line in batch.lines)
    record = json.loads(await store.get_bytes(f"{lease['artifact_prefix']}/training.json"))
    assert record["eval_loss"] == done["eval_loss"]


async def test_a_killed_child_is_reported_and_the_worker_goes_on(
    lease_service: tuple[LeaseService, PlatformSettings], make_lease: MakeLease, store: ObjectStore, tmp_path: Path
) -> None:
    service, platform = lease_service
    lease, next_lease = await make_lease(rows=3000), await make_lease(rows=16)
    async with trainer(platform, tmp_path):
        service.leases.append(lease)
        await eventually(progressed(service))
        child = training_child()
        assert child is not None
        service.leases.append(next_lease)
        child.kill()
        failed = await eventually(said(service, "fail"))
        await eventually(said(service, "complete"), timeout_s=60)
    assert (failed["code"], failed["blame"], failed["retry"]) == ("child_died", "infra", True)
    assert await store.list(lease["artifact_prefix"]) == []


async def test_a_child_that_the_kernel_kills_for_its_memory_is_told_as_such(
    lease_service: tuple[LeaseService, PlatformSettings], make_lease: MakeLease, tmp_path: Path
) -> None:
    service, platform = lease_service
    with own_memory_group() as group:
        async with trainer(platform, tmp_path):
            group.leave()
            group.limit(spare_bytes=64 << 20)
            service.leases.append(await make_lease(rows=2000, batch_size=1000))
            failed = await eventually(said(service, "fail"), timeout_s=60)
    assert (failed["code"], failed["blame"], failed["retry"]) == ("out_of_memory", "system", True)
    assert "smaller batch_size" in failed["message"]


async def test_a_lost_lease_stops_the_child_and_stores_nothing(
    lease_service: tuple[LeaseService, PlatformSettings], make_lease: MakeLease, store: ObjectStore, tmp_path: Path
) -> None:
    service, platform = lease_service
    lease = await make_lease(rows=3000)
    async with trainer(platform, tmp_path):
        service.leases.append(lease)
        await eventually(progressed(service))
        child = training_child()
        assert child is not None
        service.refuse.add("heartbeat")
        await eventually(gone(child), timeout_s=10)
    assert not {"complete", "fail", "release"} & {verb for verb, _ in service.told}
    assert await store.list(lease["artifact_prefix"]) == []


async def test_a_cancelled_run_is_given_back_without_its_child(
    lease_service: tuple[LeaseService, PlatformSettings], make_lease: MakeLease, store: ObjectStore, tmp_path: Path
) -> None:
    service, platform = lease_service
    lease = await make_lease(rows=3000)
    async with trainer(platform, tmp_path):
        service.leases.append(lease)
        await eventually(progressed(service))
        child = training_child()
        assert child is not None
        service.cancel = True
        await eventually(said(service, "release"))
        await eventually(gone(child))
    assert await store.list(lease["artifact_prefix"]) == []


async def test_an_unreachable_service_does_not_stop_the_work(
    lease_service: tuple[LeaseService, PlatformSettings], make_lease: MakeLease, tmp_path: Path
) -> None:
    service, platform = lease_service
    async with trainer(platform, tmp_path):
        service.unavailable |= {"start", "heartbeat", "complete"}
        service.leases.append(await make_lease(rows=16))
        await eventually(stored_locally(tmp_path), timeout_s=60)
        service.unavailable.clear()
        await eventually(said(service, "complete"), timeout_s=60)
    assert [verb for verb, _ in service.told if verb in ("start", "complete")] == ["start", "complete"]


async def test_a_stalled_child_is_killed(
    lease_service: tuple[LeaseService, PlatformSettings], make_lease: MakeLease, tmp_path: Path
) -> None:
    service, platform = lease_service
    async with trainer(platform, tmp_path, stall_timeout_s=3.0, stop_grace_s=0.2):
        service.leases.append(await make_lease(rows=3000))
        await eventually(progressed(service))
        child = training_child()
        assert child is not None
        os.kill(child.pid, signal.SIGSTOP)
        failed = await eventually(said(service, "fail"))
        await eventually(gone(child))
    assert (failed["code"], failed["retry"]) == ("stalled", True)


async def test_a_stopped_worker_gives_its_lease_back(
    lease_service: tuple[LeaseService, PlatformSettings], make_lease: MakeLease, tmp_path: Path
) -> None:
    service, platform = lease_service
    async with trainer(platform, tmp_path) as (worker, task):
        service.leases.append(await make_lease(rows=3000))
        await eventually(progressed(service))
        worker.stop()
        await asyncio.wait_for(task, 15)
    assert service.said("release") == {"epoch": 1}
    assert training_child() is None
    assert not (tmp_path / "ready").exists()


def taken_up(lease: dict[str, Any], *checkpoints: dict[str, Any]) -> dict[str, Any]:
    """The next lease of the same run, with the checkpoints of the one before, the newest first."""
    known = [
        {"step": each["step"], "manifest_sha256": each["manifest_sha256"], "prefix": place(lease, each)}
        for each in checkpoints
    ]
    prefixes = {name: lease[name].replace("e1", "e2") for name in ("artifact_prefix", "checkpoint_prefix")}
    return {**lease, **prefixes, "epoch": 2, "attempt": 2, "checkpoints": known, "heartbeat_s": 0.3}


def place(lease: dict[str, Any], checkpoint: dict[str, Any]) -> str:
    """Where a checkpoint of a lease lies."""
    return f"{lease['checkpoint_prefix']}/{checkpoint['step']:08d}"


async def test_a_stopped_worker_leaves_a_checkpoint_from_which_the_next_one_goes_on(
    lease_service: tuple[LeaseService, PlatformSettings], make_lease: MakeLease, store: ObjectStore, tmp_path: Path
) -> None:
    service, platform = lease_service
    lease = await make_lease(rows=800)
    async with trainer(platform, tmp_path, stop_grace_s=30.0) as (worker, task):
        service.leases.append(lease)
        await eventually(progressed(service))
        worker.stop()
        await asyncio.wait_for(task, 40)
    checkpoint = dict(service.told)["checkpoint"]
    assert [verb for verb, _ in service.told if verb in ("checkpoint", "release")] == ["checkpoint", "release"]
    await manifest.verify(store, place(lease, checkpoint), checkpoint["manifest_sha256"])
    async with trainer(platform, tmp_path / "other"):
        service.leases.append(taken_up(lease, checkpoint))
        done = await eventually(said(service, "complete"), timeout_s=60)
    assert service.said("resume") == {"epoch": 2, "step": checkpoint["step"]}
    assert (done["epoch"], done["steps"]) == (2, 100)
    batches = await telemetry_of(platform, lease["experiment_id"])
    resumed = [point.step for batch in batches if batch.epoch == 2 for point in batch.points if point.name == "loss"]
    assert resumed == list(range(checkpoint["step"] + 1, 101))


async def test_a_damaged_checkpoint_is_passed_over(
    lease_service: tuple[LeaseService, PlatformSettings], make_lease: MakeLease, store: ObjectStore, tmp_path: Path
) -> None:
    service, platform = lease_service
    lease = await make_lease(rows=800)
    async with trainer(platform, tmp_path, checkpoint_s=0.0):
        service.leases.append(lease)
        await eventually(several_checkpoints(service))
        child = training_child()
        assert child is not None
        child.kill()
        await eventually(said(service, "fail"))
    older, newer = [body for verb, body in service.told if verb == "checkpoint"][-2:]
    await store.put_bytes(f"{place(lease, newer)}/weights.safetensors", b"something else")
    async with trainer(platform, tmp_path / "other"):
        service.leases.append(taken_up(lease, newer, older))
        resumed = await eventually(said(service, "resume"), timeout_s=60)
    assert resumed == {"epoch": 2, "step": older["step"]}


def several_checkpoints(service: LeaseService) -> Callable[[], Awaitable[bool]]:
    """For `eventually`: two checkpoints were registered."""

    async def check() -> bool:
        return len([verb for verb, _ in service.told if verb == "checkpoint"]) >= 2

    return check


async def test_what_an_attempt_left_in_its_spool_is_sent_by_the_next_worker(
    lease_service: tuple[LeaseService, PlatformSettings], tmp_path: Path
) -> None:
    _, platform = lease_service
    experiment_id = new_id()
    batches = [
        TelemetryBatch(experiment_id=experiment_id, epoch=3, batch=number).model_dump_json() for number in range(3)
    ]
    spool = tmp_path / "work" / "jobs" / "x-e3" / "telemetry.jsonl"
    spool.parent.mkdir(parents=True)
    spool.write_text("\n".join(batches) + '\n{"experiment_id": "torn')
    async with trainer(platform, tmp_path):
        await eventually(exists(spool.with_name("telemetry.sent")))
    async with trainer(platform, tmp_path):
        pass
    sent = await telemetry_of(platform, str(experiment_id))
    assert [(batch.epoch, batch.batch) for batch in sent] == [(3, 0), (3, 1), (3, 2)]


def exists(path: Path) -> Callable[[], Awaitable[bool]]:
    """For `eventually`: a file is there."""

    async def check() -> bool:
        return any(glob(str(path)))

    return check


async def test_damaged_rows_are_not_trained_on(
    lease_service: tuple[LeaseService, PlatformSettings], make_lease: MakeLease, store: ObjectStore, tmp_path: Path
) -> None:
    service, platform = lease_service
    lease = await make_lease(rows=16)
    await store.put_bytes(lease["training_dataset"]["object_key"], b"something else")
    async with trainer(platform, tmp_path):
        service.leases.append(lease)
        failed = await eventually(said(service, "fail"))
    assert (failed["code"], failed["blame"]) == ("input_damaged", "system")


async def test_a_worker_without_room_says_so(
    lease_service: tuple[LeaseService, PlatformSettings], make_lease: MakeLease, tmp_path: Path
) -> None:
    service, platform = lease_service
    with small_disk(tmp_path / "small", 8):
        # Room for the base model, none for the trained one beside it.
        async with trainer(platform, tmp_path / "small"):
            service.leases.append(await make_lease(rows=16))
            failure = await eventually(said(service, "fail"), timeout_s=60)
    assert (failure["code"], failure["blame"], failure["retry"]) == ("worker_disk_full", "infra", True)
    assert "disk" in failure["message"]


def launched(lease: dict[str, Any]) -> RunLaunched:
    """The event that wakes a trainer."""
    return RunLaunched(
        run_id=lease["run_id"],
        experiment_id=lease["experiment_id"],
        name=lease["name"],
        base_model_id=lease["base_model"]["id"],
        base_model_name="nano-v1",
        method=lease["config"]["method"],
        training_dataset_id=lease["training_dataset"]["id"],
    )


async def telemetry_of(platform: PlatformSettings, experiment_id: str) -> list[TelemetryBatch]:
    """Everything published for one experiment."""
    broker = Broker(platform.nats_url, name=f"tests-{new_id()}")
    jetstream = await broker.jetstream()
    subject = telemetry_subject(experiment_id)  # type: ignore[arg-type]  # formatted all the same
    info = await jetstream.stream_info(TELEMETRY, subjects_filter=subject)
    count = (info.state.subjects or {}).get(subject, 0)
    pull = await jetstream.pull_subscribe(subject, stream=TELEMETRY)
    messages = await pull.fetch(count, timeout=5)
    await broker.close()
    return [TelemetryBatch.model_validate_json(message.data) for message in messages]
