"""The composition root of the registry."""

from fastapi import FastAPI

from slm_registry import subscribers
from slm_registry.api import aliases, files, lineage, models, promotion, uploads
from slm_registry.service.artifacts import ArtifactReader
from slm_registry.service.builtins import Builtins
from slm_registry.service.emitting import OpenLineageEmitter
from slm_registry.service.journal import Projections
from slm_registry.service.registration import Registrar
from slm_registry.settings import RegistrySettings
from slm_shared.delivery.broker import Broker
from slm_shared.delivery.bus import Bus
from slm_shared.delivery.outbox import Relay
from slm_shared.delivery.reconciler import Reconciler
from slm_shared.http.app import create_app as create_service
from slm_shared.storage.database import Database
from slm_shared.storage.objects import ObjectStore
from slm_shared.storage.signing import signer_for, verifier_for


def create_app(settings: RegistrySettings) -> FastAPI:
    """Assemble the registry."""
    database = Database(settings.database_url, answer_within_s=settings.platform.answer_within_s)
    broker = Broker(settings.platform.nats_url, name="registry")
    registrar = Registrar(signer_for(settings.platform.signing_key))
    bus = Bus(database, broker, service="registry", handlers=subscribers.handlers, provides=[registrar])
    objects = ObjectStore(settings.platform)
    return create_service(
        service="registry",
        title="Registry",
        description="Models, their cards and lineage.",
        settings=settings,
        database=database,
        routers=[models.routes, aliases.routes, files.routes, lineage.routes, promotion.routes, uploads.routes],
        background=[
            broker,
            objects,
            Relay(database, broker, source="registry"),
            Reconciler(database, settings.platform, source="registry"),
            bus,
            Projections(database),
            Builtins(database, objects, settings.builtin_dir, registrar),
            *_emitters(database, settings),
        ],
        closers=[broker.close],
        provides=[objects, registrar, ArtifactReader(objects, verifier_for(settings.platform.principal_keys))],
    )


def _emitters(database: Database, settings: RegistrySettings) -> list[OpenLineageEmitter]:
    """The part that tells an OpenLineage backend, if one is configured."""
    return [OpenLineageEmitter(database, settings.openlineage)] if settings.openlineage else []
