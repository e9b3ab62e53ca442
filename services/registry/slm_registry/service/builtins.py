"""Registers the base models that ship with the platform."""

import asyncio
from dataclasses import asdict
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

import structlog
from anyio import to_thread

from slm_registry import store
from slm_registry.domain import parse_model_name
from slm_registry.service.folders import FolderFacts, describe_folder
from slm_registry.service.registration import Registrar
from slm_registry.tables import ModelRow
from slm_shared.errors import UnavailableError
from slm_shared.storage import manifest
from slm_shared.storage.database import Database
from slm_shared.storage.objects import ObjectStore

log = structlog.get_logger()

RETRY_S = 0.5


class Builtins:
    """Stores and registers each folder of `builtin_dir` once; until that is done the registry is not ready.

    Id and place of a built-in model follow from its content, so registries that start at the same time agree.
    """

    name = "builtins"

    def __init__(self, database: Database, objects: ObjectStore, folder: Path, registrar: Registrar) -> None:
        self._registrar = registrar
        self._database = database
        self._objects = objects
        self._folder = folder
        self._problem: str | None = "the built-in models are not registered yet"

    def problem(self) -> str | None:
        """None once every built-in model is registered."""
        return self._problem

    async def run(self) -> None:
        """Register what is missing, however long the servers take."""
        for folder in sorted(path for path in self._folder.iterdir() if parse_model_name(path.name)):
            while True:
                try:
                    await self._register(folder)
                    break
                except UnavailableError as error:
                    log.warning("builtins.retrying", model=folder.name, why=error.message)
                    await asyncio.sleep(RETRY_S)
        self._problem = None

    async def _register(self, folder: Path) -> None:
        async with self._database.read() as session:
            if await store.find_model(session, folder.name) is not None:
                return
        facts = await to_thread.run_sync(describe_folder, folder)
        await manifest.upload(self._objects, folder, facts.artifact_prefix)
        model = _base_model(folder.name, facts)
        async with self._database.transaction() as session:
            await store.raise_version(session, model.family, model.version)
            if await self._registrar.add(session, model) is None:
                return
        log.info("builtins.registered", model=folder.name)


def _base_model(name: str, facts: FolderFacts) -> ModelRow:
    parsed = parse_model_name(name)
    assert parsed is not None
    family, version = parsed
    identity = uuid5(NAMESPACE_URL, f"slm:{name}:{facts.manifest_sha256}")
    return ModelRow(id=identity, name=name, family=family, version=version, kind="base", config={}, **asdict(facts))
