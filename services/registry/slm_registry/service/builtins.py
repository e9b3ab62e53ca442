"""Registers the base models that ship with the platform."""

import asyncio
import json
import struct
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import structlog
from anyio import to_thread

from slm_registry.domain import architecture_of, parameters_in, parse_model_name
from slm_registry.service.registration import announce
from slm_registry.store import models
from slm_shared import manifest
from slm_shared.database import Database
from slm_shared.errors import UnavailableError
from slm_shared.manifest import MANIFEST_NAME, build_manifest
from slm_shared.objects import ObjectStore

log = structlog.get_logger()

RETRY_S = 0.5


class Builtins:
    """Stores and registers each folder of `builtin_dir` once; until that is done the registry is not ready.

    Id and place of a built-in model follow from its content, so registries that start at the same time agree.
    """

    name = "builtins"

    def __init__(self, database: Database, objects: ObjectStore, folder: Path) -> None:
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
            if await models.find_model(session, folder.name) is not None:
                return
        values = await to_thread.run_sync(_describe, folder)
        await manifest.upload(self._objects, folder, values["artifact_prefix"])
        async with self._database.transaction() as session:
            model = await models.add_model(session, values)
            if model is None:
                return
            await models.raise_version(session, model.family, model.version)
            await announce(session, model)
        log.info("builtins.registered", model=folder.name)


def _describe(folder: Path) -> dict[str, Any]:
    parsed = parse_model_name(folder.name)
    assert parsed is not None
    files = build_manifest(folder)
    prefix = f"models/{files.sha256}"
    return {
        "id": uuid5(NAMESPACE_URL, f"slm:{folder.name}:{files.sha256}"),
        "name": folder.name,
        "family": parsed[0],
        "version": parsed[1],
        "kind": "base",
        "artifact_prefix": prefix,
        "manifest_key": f"{prefix}/{MANIFEST_NAME}",
        "manifest_sha256": files.sha256,
        "size_bytes": files.size_bytes,
        "parameter_count": sum(parameters_in(_header(path)) for path in folder.glob("*.safetensors")),
        "architecture": architecture_of(json.loads((folder / "config.json").read_text())),
        "config": {},
    }


def _header(path: Path) -> dict[str, Any]:
    with path.open("rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        header: dict[str, Any] = json.loads(stream.read(length))
    return header
