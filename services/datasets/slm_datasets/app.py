"""The composition root of the datasets service."""

from fastapi import FastAPI

from slm_datasets import subscribers
from slm_datasets.api import contents, datasets, reports, uploads
from slm_datasets.background.cleanup import Cleanup
from slm_datasets.background.examining import Examining
from slm_datasets.background.processing import Processing
from slm_datasets.background.queue import WorkQueue
from slm_datasets.service.upload_parts import PartedUploads
from slm_datasets.settings import DatasetsSettings
from slm_shared.delivery.broker import Broker
from slm_shared.delivery.bus import Bus
from slm_shared.delivery.outbox import Relay
from slm_shared.delivery.reconciler import Reconciler
from slm_shared.http.app import create_app as create_service
from slm_shared.peers import Peer
from slm_shared.storage.database import Database
from slm_shared.storage.objects import ObjectStore


def create_app(settings: DatasetsSettings) -> FastAPI:
    """Assemble the datasets service."""
    # Lists have many filters, and the best plan depends on what is searched for.
    database = Database(settings.database_url, answer_within_s=settings.platform.answer_within_s, plans_each_time=True)
    broker = Broker(settings.platform.nats_url, name="datasets")
    bus = Bus(database, broker, service="datasets", handlers=subscribers.handlers)
    objects = ObjectStore(settings.platform)
    registry = Peer(settings.platform, service="registry")
    return create_service(
        service="datasets",
        title="Datasets",
        description="Versions of the data that models are trained and measured on.",
        settings=settings,
        database=database,
        # The first route that matches is taken, and `/api/datasets/{reference}` matches `/api/datasets/uploads` too.
        routers=[uploads.routes, datasets.routes, contents.routes, reports.routes],
        background=[
            broker,
            objects,
            Relay(database, broker, source="datasets"),
            Reconciler(database, settings.platform, source="datasets"),
            bus,
            WorkQueue(database, Processing(database, objects, settings), settings, workers=settings.workers),
            WorkQueue(database, Examining(database, objects, registry, settings), settings, workers=settings.examiners),
            Cleanup(database, objects, settings),
        ],
        closers=[broker.close, registry.close],
        provides=[objects, registry, PartedUploads(objects, settings)],
    )
