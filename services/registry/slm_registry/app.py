"""The composition root of the registry."""

from fastapi import FastAPI

from slm_registry import subscribers
from slm_registry.api import aliases, files, models
from slm_registry.service.builtins import Builtins
from slm_registry.settings import RegistrySettings
from slm_shared.auditor import Auditor
from slm_shared.broker import Broker
from slm_shared.bus import Bus
from slm_shared.database import Database
from slm_shared.objects import ObjectStore
from slm_shared.outbox import Relay
from slm_shared.web import create_app as create_service


def create_app(settings: RegistrySettings) -> FastAPI:
    """Assemble the registry."""
    database = Database(settings.database_url)
    broker = Broker(settings.platform.nats_url, name="registry")
    bus = Bus(database, broker, service="registry")
    subscribers.register(bus)
    objects = ObjectStore(settings.platform)
    app = create_service(
        service="registry",
        title="Registry",
        description="Models, their cards and lineage.",
        settings=settings,
        database=database,
        routers=[models.routes, aliases.routes, files.routes],
        parts=[
            broker,
            objects,
            Relay(database, broker, source="registry"),
            Auditor(database, settings.platform, source="registry"),
            bus,
            Builtins(database, objects, settings.builtin_dir),
        ],
        closers=[broker.close],
    )
    app.state.objects = objects
    return app
