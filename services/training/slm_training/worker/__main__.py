"""`python -m slm_training.worker`: one trainer, until SIGTERM."""

import asyncio
import sys

from slm_shared.delivery.broker import Broker
from slm_shared.identity.principal import Principal, Role
from slm_shared.jobs.client import LeaseClient
from slm_shared.jobs.worker import WakeUps, Worker, run_worker
from slm_shared.observability.exporting import exporting
from slm_shared.observability.logging import configure_logging
from slm_shared.peers import Peer
from slm_shared.storage.objects import ObjectStore
from slm_training.schemas.leases import Claim, RunLease
from slm_training.worker.settings import TrainerSettings
from slm_training.worker.supervisor.work import TrainerWork


async def run_trainer(settings: TrainerSettings) -> int:
    """Compose the worker and run it; the exit status of the process."""
    broker = Broker(settings.platform.nats_url, name=settings.name)
    identity = Principal(subject=settings.name, role=Role.WORKER)
    peer = Peer(settings.platform, service="training", principal=identity)
    leases = LeaseClient(
        peer, path="/api/leases", grant=RunLease, claim=Claim, worker=settings.name, pool=settings.pool
    )
    worker = Worker(
        settings,
        leases=leases,
        work=TrainerWork(settings, store=ObjectStore(settings.platform), broker=broker, leases=leases),
        wakeups=WakeUps(broker, durable=f"trainer-{settings.pool}", poll_s=settings.poll_s),
    )
    try:
        return await run_worker(worker)
    finally:
        await peer.close()
        await broker.close()


def main() -> None:
    """Read the settings from the environment and run."""
    settings = TrainerSettings()
    configure_logging("trainer", level=settings.log_level)
    with exporting("trainer"):
        status = asyncio.run(run_trainer(settings))
    sys.exit(status)


if __name__ == "__main__":
    main()
