"""The manifest of an artifact: every file with its size and SHA-256, written last.

An artifact without its manifest does not exist; a file that is not in the manifest is not part of it.
"""

import hashlib
import json
from pathlib import Path, PurePosixPath

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from slm_shared.errors import PlatformError
from slm_shared.storage.objects import ObjectMissingError, ObjectStore

MANIFEST_NAME = "manifest.json"
FORMAT = "slm-manifest/1"


class ArtifactMismatchError(PlatformError):
    """What lies in the store is not what the manifest says."""

    code = "artifact_mismatch"
    title = "Artifact mismatch"


class ManifestFile(BaseModel):
    """One file of an artifact; `path` is relative to the artifact's prefix, with forward slashes."""

    model_config = ConfigDict(frozen=True)

    path: str
    size_bytes: int
    sha256: str

    @field_validator("path")
    @classmethod
    def _stays_inside(cls, path: str) -> str:
        parts = PurePosixPath(path)
        if parts.is_absolute() or ".." in parts.parts or "\\" in path or not path:
            raise ValueError("is not a path inside the artifact")
        return path


class Manifest(BaseModel):
    """All files of an artifact, sorted by path."""

    model_config = ConfigDict(frozen=True)

    format: str = FORMAT
    files: list[ManifestFile]

    def to_bytes(self) -> bytes:
        """The canonical JSON, equal for equal contents."""
        return (json.dumps(self.model_dump(), indent=1, sort_keys=True) + "\n").encode()

    @property
    def sha256(self) -> str:
        """SHA-256 (hex) of the canonical JSON; names the artifact."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    @property
    def size_bytes(self) -> int:
        """Size of all files together."""
        return sum(file.size_bytes for file in self.files)

    def file(self, path: str) -> ManifestFile | None:
        """The entry of one path, or None."""
        return next((file for file in self.files if file.path == path), None)


def build_manifest(folder: Path) -> Manifest:
    """The manifest of every file below `folder`, except a manifest itself."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST_NAME)
    return Manifest(
        files=[
            ManifestFile(
                path=path.relative_to(folder).as_posix(), size_bytes=path.stat().st_size, sha256=file_sha256(path)
            )
            for path in paths
        ]
    )


def file_sha256(path: Path) -> str:
    """SHA-256 (hex) of a local file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


async def upload(store: ObjectStore, folder: Path, prefix: str) -> Manifest:
    """Store every file of `folder` under `prefix` and the manifest after all of them."""
    manifest = build_manifest(folder)
    for file in manifest.files:
        await store.put_file(f"{prefix}/{file.path}", folder / file.path)
    await store.put_bytes(f"{prefix}/{MANIFEST_NAME}", manifest.to_bytes(), content_type="application/json")
    return manifest


async def load(store: ObjectStore, prefix: str, manifest_sha256: str) -> Manifest:
    """The manifest of an artifact, checked against its hash. Raises ArtifactMismatchError."""
    try:
        data = await store.get_bytes(f"{prefix}/{MANIFEST_NAME}")
    except ObjectMissingError as error:
        raise ArtifactMismatchError("The artifact has no manifest.") from error
    if hashlib.sha256(data).hexdigest() != manifest_sha256:
        raise ArtifactMismatchError("The manifest does not have the hash that was announced.")
    try:
        return Manifest.model_validate_json(data)
    except ValidationError as error:
        raise ArtifactMismatchError("The manifest cannot be read.") from error


async def verify(store: ObjectStore, prefix: str, manifest_sha256: str) -> Manifest:
    """Read a whole artifact back and compare it with its manifest. Raises ArtifactMismatchError naming the file."""
    manifest = await load(store, prefix, manifest_sha256)
    for file in manifest.files:
        try:
            sha256, size_bytes = await store.sha256(f"{prefix}/{file.path}")
        except ObjectMissingError as error:
            raise ArtifactMismatchError(f"The file {file.path} is missing from the artifact.") from error
        if (sha256, size_bytes) != (file.sha256, file.size_bytes):
            raise ArtifactMismatchError(f"The file {file.path} does not match the manifest.")
    return manifest


async def fetch(store: ObjectStore, prefix: str, manifest_sha256: str, folder: Path) -> Manifest:
    """Download an artifact into `folder` and verify each file. Raises ArtifactMismatchError."""
    manifest = await load(store, prefix, manifest_sha256)
    for file in manifest.files:
        target = folder / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        await store.download(f"{prefix}/{file.path}", target)
        if file_sha256(target) != file.sha256:
            raise ArtifactMismatchError(f"The file {file.path} does not match the manifest.")
    return manifest
