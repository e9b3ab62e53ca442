"""A running trainer worker, and what is seen of it from outside."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil

from slm_shared.delivery.broker import Broker
from slm_shared.identity.principal import Principal, Role
from slm_shared.jobs.client import LeaseClient
from slm_shared.jobs.worker import WakeUps, Worker
from slm_shared.peers import Peer
from slm_shared.settings import PlatformSettings
from slm_shared.storage.objects import ObjectStore
from slm_testing.waiting import eventually
from slm_training.schemas.leases import Claim, RunLease
from slm_training.worker.settings import TrainerSettings
from slm_training.worker.supervisor.work import TrainerWork
from tests.support.lease_service import LeaseService


@asynccontextmanager
async def trainer(
    platform: PlatformSettings, folder: Path, **settings: Any
) -> AsyncIterator[tuple[Worker[RunLease], asyncio.Task[None]]]:
    """A running worker that is ready for jobs."""
    ready = folder / "ready"
    chosen = TrainerSettings(work_dir=folder / "work", platform=platform, ready_file=ready, poll_s=0.5, **settings)
    broker = Broker(platform.nats_url, name="trainer")
    peer = Peer(platform, service="training", principal=Principal("trainer-1", Role.WORKER))
    leases = LeaseClient(peer, path="/api/leases", grant=RunLease, claim=Claim, worker=chosen.name, pool=chosen.pool)
    worker = Worker(
        chosen,
        leases=leases,
        work=TrainerWork(chosen, store=ObjectStore(platform), broker=broker, leases=leases),
        wakeups=WakeUps(broker, durable="trainer-default", poll_s=chosen.poll_s),
    )
    task = asyncio.create_task(worker.run())
    try:

        async def is_ready() -> bool:
            return ready.exists()

        await eventually(is_ready, timeout_s=60)
        yield worker, task
    finally:
        worker.stop()
        await asyncio.wait([task])
        await peer.close()
        await broker.close()


def training_child() -> psutil.Process | None:
    """The child that is busy: of two, the older one; None when there is only the warm one."""
    children = [
        child
        for child in psutil.Process().children()
        if any("slm_training.worker.child.main" in word for word in child.cmdline())
    ]
    return min(children, key=lambda child: child.create_time(), default=None)


def said(service: LeaseService, verb: str) -> Callable[[], Awaitable[dict[str, Any] | None]]:
    """For `eventually`: what the worker said with one verb."""

    async def check() -> dict[str, Any] | None:
        found: dict[str, Any] | None = service.said(verb)
        return found

    return check


def progressed(service: LeaseService) -> Callable[[], Awaitable[bool]]:
    """For `eventually`: a heartbeat told of a step."""

    async def check() -> bool:
        return bool((service.said("heartbeat") or {}).get("step"))

    return check


def gone(child: psutil.Process) -> Callable[[], Awaitable[bool]]:
    """For `eventually`: a process ended."""

    async def check() -> bool:
        return not child.is_running()

    return check


def stored_locally(folder: Path) -> Callable[[], Awaitable[bool]]:
    """For `eventually`: the child wrote its record."""

    async def check() -> bool:
        return any((folder / "work" / "jobs").glob("*/result/training.json"))

    return check
