"""The composition root of the evaluation service."""

from fastapi import FastAPI

from slm_evaluation import subscribers
from slm_evaluation.api import evaluations
from slm_evaluation.schemas.leases import Completion
from slm_evaluation.service.leasing import LeasedEvaluations
from slm_evaluation.service.ordering import Resolver
from slm_evaluation.settings import EvaluationSettings
from slm_shared.delivery.broker import Broker
from slm_shared.delivery.bus import Bus
from slm_shared.delivery.outbox import Relay
from slm_shared.delivery.reconciler import Reconciler
from slm_shared.http.app import create_app as create_service
from slm_shared.jobs.protocol import Claim
from slm_shared.jobs.reaper import Reaper
from slm_shared.jobs.routes import lease_routes
from slm_shared.peers import Peer
from slm_shared.storage.database import Database
from slm_shared.storage.objects import ObjectStore


def create_app(settings: EvaluationSettings) -> FastAPI:
    """Assemble the evaluation service."""
    database = Database(settings.database_url, answer_within_s=settings.platform.answer_within_s)
    broker = Broker(settings.platform.nats_url, name="evaluation")
    bus = Bus(database, broker, service="evaluation", handlers=subscribers.handlers, provides=[settings])
    platform = settings.platform
    datasets, registry, training = (Peer(platform, service=name) for name in ("datasets", "registry", "training"))
    objects = ObjectStore(platform)
    leased = LeasedEvaluations(settings, database, objects)
    leases = lease_routes("/api/evaluation-leases", leased, claims=Claim, completions=Completion)
    return create_service(
        service="evaluation",
        title="Evaluation",
        description="Models measured on datasets.",
        settings=settings,
        database=database,
        routers=[evaluations.routes, leases],
        background=[
            broker,
            Relay(database, broker, source="evaluation"),
            Reconciler(database, settings.platform, source="evaluation"),
            bus,
            Reaper(database, leased.reap, lease_ttl_s=settings.lease_ttl_s, interval_s=settings.reaper_interval_s),
        ],
        closers=[broker.close, datasets.close, registry.close, training.close],
        provides=[objects, Resolver(database, datasets=datasets, registry=registry), training],
    )
