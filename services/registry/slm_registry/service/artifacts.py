"""A model's files, opened only under a manifest that has the registered hash and the registry's signature."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slm_registry.schemas import Verification
from slm_registry.tables import ModelRow
from slm_shared.storage import manifest
from slm_shared.storage.manifest import ArtifactMismatchError, Manifest
from slm_shared.storage.objects import ObjectMissingError, ObjectStore
from slm_shared.storage.signing import ArtifactVerifier


@dataclass(frozen=True)
class Artifact:
    """A model whose manifest was verified, and where its files are."""

    objects: ObjectStore
    model: ModelRow
    files: Manifest

    async def json(self, path: str) -> Mapping[str, Any] | None:
        """A JSON file, checked against the manifest; None when there is no such file. Raises ArtifactMismatchError."""
        file = self.files.file(path)
        if file is None:
            return None
        data = await self.objects.get_bytes(f"{self.model.artifact_prefix}/{path}")
        if hashlib.sha256(data).hexdigest() != file.sha256:
            raise ArtifactMismatchError(f"The file {path} does not match the manifest.")
        found = json.loads(data)
        return found if isinstance(found, dict) else None


class ArtifactReader:
    """Opens artifacts; every way to a model's files leads through here."""

    def __init__(self, objects: ObjectStore, verifier: ArtifactVerifier | None) -> None:
        self._objects = objects
        self._verifier = verifier

    async def open(self, row: ModelRow) -> Artifact:
        """The artifact of a model. Raises ArtifactMismatchError when the manifest is not the one that was signed."""
        self._check_signature(row)
        files = await manifest.load(self._objects, row.artifact_prefix, row.manifest_sha256)
        return Artifact(self._objects, row, files)

    async def verify(self, row: ModelRow, *, as_signed: bool = True) -> Verification:
        """Read every file back and say what is wrong with which; the signature counts unless `as_signed` is false."""
        problems: list[str] = []
        files: Manifest | None = None
        try:
            if as_signed:
                self._check_signature(row)
        except ArtifactMismatchError as error:
            problems.append(error.message)
        try:
            files = await manifest.load(self._objects, row.artifact_prefix, row.manifest_sha256)
        except ArtifactMismatchError as error:
            problems.append(error.message)
        for file in files.files if files else ():
            try:
                sha256, _ = await self._objects.sha256(f"{row.artifact_prefix}/{file.path}")
                if sha256 != file.sha256:
                    problems.append(f"The file {file.path} does not match the manifest.")
            except ObjectMissingError:
                problems.append(f"The file {file.path} is missing from the artifact.")
        return Verification(
            model=row.name,
            manifest_sha256=row.manifest_sha256,
            signed=row.signature is not None,
            files=len(files.files) if files else 0,
            size_bytes=files.size_bytes if files else 0,
            intact=not problems,
            problems=problems,
        )

    def _check_signature(self, row: ModelRow) -> None:
        if self._verifier is not None:
            self._verifier.verify(row.signature, row.id, row.name, row.manifest_sha256)
