"""`python -m slm_evaluation.worker`: one evaluation worker, until SIGTERM."""

import asyncio
import sys

from slm_evaluation.schemas.leases import EvaluationLease
from slm_evaluation.worker.settings import EvaluatorSettings
from slm_evaluation.worker.supervisor import EvaluatorWork
from slm_shared.identity.principal import Principal, Role
from slm_shared.jobs.client import LeaseClient
from slm_shared.jobs.worker import Polling, Worker, run_worker
from slm_shared.observability.exporting import exporting
from slm_shared.observability.logging import configure_logging
from slm_shared.peers import Peer
from slm_shared.storage.objects import ObjectStore


async def run_evaluator(settings: EvaluatorSettings) -> int:
    """Compose the worker and run it; the exit status of the process."""
    identity = Principal(subject=settings.name, role=Role.WORKER)
    peer = Peer(settings.platform, service="evaluation", principal=identity)
    worker = Worker(
        settings,
        leases=LeaseClient(
            peer, path="/api/evaluation-leases", grant=EvaluationLease, worker=settings.name, pool=settings.pool
        ),
        work=EvaluatorWork(settings, store=ObjectStore(settings.platform)),
        # Evaluations are queued by the service, not by an event: asking once a second is cheap and always right.
        wakeups=Polling(settings.poll_s),
    )
    try:
        return await run_worker(worker)
    finally:
        await peer.close()


def main() -> None:
    """Read the settings from the environment and run."""
    settings = EvaluatorSettings()
    configure_logging("evaluator", level=settings.log_level)
    with exporting("evaluator"):
        status = asyncio.run(run_evaluator(settings))
    sys.exit(status)


if __name__ == "__main__":
    main()
