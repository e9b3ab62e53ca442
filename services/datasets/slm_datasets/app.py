"""The composition root of the datasets service."""

from fastapi import FastAPI

from slm_datasets.api import routes
from slm_datasets.processing.queue import ProcessingQueue
from slm_datasets.settings import DatasetsSettings
from slm_shared.auditor import Auditor
from slm_shared.broker import Broker
from slm_shared.database import Database
from slm_shared.objects import ObjectStore
from slm_shared.outbox import Relay
from slm_shared.web import create_app as create_service


def create_app(settings: DatasetsSettings) -> FastAPI:
    """Assemble the datasets service."""
    database = Database(settings.database_url)
    broker = Broker(settings.platform.nats_url, name="datasets")
    objects = ObjectStore(settings.platform)
    app = create_service(
        service="datasets",
        title="Datasets",
        description="Versions of the data that models are trained and measured on.",
        settings=settings,
        database=database,
        routers=[routes],
        parts=[
            broker,
            objects,
            Relay(database, broker, source="datasets"),
            Auditor(database, settings.platform, source="datasets"),
            ProcessingQueue(database, objects, settings),
        ],
        closers=[broker.close],
    )
    app.state.settings = settings
    app.state.objects = objects
    return app
