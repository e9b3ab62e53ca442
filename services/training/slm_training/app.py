"""The composition root of the training service."""

from fastapi import FastAPI

from slm_shared.delivery.broker import Broker
from slm_shared.delivery.bus import Bus
from slm_shared.delivery.outbox import Relay
from slm_shared.delivery.reconciler import Reconciler
from slm_shared.http.app import create_app as create_service
from slm_shared.jobs.reaper import Reaper
from slm_shared.jobs.routes import lease_routes
from slm_shared.peers import Peer
from slm_shared.storage.database import Database
from slm_shared.storage.objects import ObjectStore
from slm_training import subscribers
from slm_training.api import experiments, leases, live, plans, runs, workers
from slm_training.schemas.leases import Claim, Completion, PlanReport
from slm_training.service.cleanup import Cleanup
from slm_training.service.leasing import LeasedJobs
from slm_training.service.resolving import Resolver
from slm_training.service.telemetry import TelemetryIntake
from slm_training.settings import TrainingSettings


def create_app(settings: TrainingSettings) -> FastAPI:
    """Assemble the training service."""
    platform = settings.platform
    database = Database(settings.database_url, answer_within_s=settings.platform.answer_within_s)
    broker = Broker(platform.nats_url, name="training")
    bus = Bus(database, broker, service="training", handlers=subscribers.handlers)
    datasets, registry = Peer(platform, service="datasets"), Peer(platform, service="registry")
    objects = ObjectStore(platform)
    leased = LeasedJobs(settings, database, objects)
    work = lease_routes("/api/leases", leased, claims=Claim, completions=Completion | PlanReport)
    return create_service(
        service="training",
        title="Training",
        description="Runs, experiments and their metrics.",
        settings=settings,
        database=database,
        routers=[runs.routes, plans.routes, experiments.routes, live.routes, workers.routes, work, leases.routes],
        background=[
            broker,
            Relay(database, broker, source="training"),
            Reconciler(database, settings.platform, source="training"),
            bus,
            TelemetryIntake(database, broker),
            Reaper(database, leased.reap, lease_ttl_s=settings.lease_ttl_s, interval_s=settings.reaper_interval_s),
            Cleanup(database, objects),
        ],
        closers=[broker.close, datasets.close, registry.close],
        provides=[leased, objects, Resolver(database, datasets=datasets, registry=registry)],
    )
