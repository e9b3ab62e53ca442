"""A model's files as streams, each checked against the manifest while it is sent."""

import hashlib
import tarfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy.ext.asyncio import AsyncSession

from slm_registry import store
from slm_registry.errors import FileNotInModelError
from slm_registry.service.artifacts import Artifact
from slm_shared.storage.manifest import ArtifactMismatchError, ManifestFile

ADAPTER = "adapter/"

Part = Literal["all", "merged", "adapter"]


@dataclass(frozen=True)
class FileStream:
    """One file on its way. `chunks` raises ArtifactMismatchError before the last byte when the content is wrong."""

    size_bytes: int
    sha256: str
    chunks: AsyncIterator[bytes]


@dataclass(frozen=True)
class ArchiveStream:
    """A tar archive on its way, as `FileStream` is."""

    name: str
    chunks: AsyncIterator[bytes]


async def open_file(session: AsyncSession, artifact: Artifact, path: str) -> FileStream:
    """One file of a model; counts as a use of it. Raises FileNotInModelError."""
    file = artifact.files.file(path)
    if file is None:
        raise FileNotInModelError("The model has no such file.", hint="Its card lists the files.")
    await store.count_use(session, artifact.model.id, "file")
    return FileStream(file.size_bytes, file.sha256, _stream_file(artifact, file))


async def open_archive(session: AsyncSession, artifact: Artifact, part: Part) -> ArchiveStream:
    """The files of a model as one archive; counts as a use of it. Raises FileNotInModelError for a missing adapter.

    `merged` is the model without the files of the LoRA adapter, `adapter` these alone, at the top of the folder.
    """
    files = [
        each for each in artifact.files.files if part == "all" or each.path.startswith(ADAPTER) is (part == "adapter")
    ]
    if not files:
        raise FileNotInModelError("The model has no adapter.", hint="It was trained in full, not with LoRA.")
    name = artifact.model.name if part == "all" else f"{artifact.model.name}-{part}"
    await store.count_use(session, artifact.model.id, "download")
    cut = ADAPTER if part == "adapter" else ""
    return ArchiveStream(f"{name}.tar", _stream_archive(artifact, files, folder=name, cut=cut))


async def _stream_file(artifact: Artifact, file: ManifestFile) -> AsyncIterator[bytes]:
    """The bytes of one file.

    Raises ArtifactMismatchError before the last byte is sent when the content is not what the manifest says, so that
    nobody receives a complete file that is wrong.
    """
    digest, held, size_bytes = hashlib.sha256(), b"", 0
    async for chunk in artifact.objects.stream(f"{artifact.model.artifact_prefix}/{file.path}"):
        digest.update(chunk)
        size_bytes += len(chunk)
        if size_bytes > file.size_bytes:
            break
        if held:
            yield held
        held = chunk
    if digest.hexdigest() != file.sha256:
        raise ArtifactMismatchError(f"The file {file.path} does not match the manifest.")
    if held:
        yield held


async def _stream_archive(
    artifact: Artifact, files: Sequence[ManifestFile], *, folder: str, cut: str
) -> AsyncIterator[bytes]:
    """Files as one tar archive, below `folder` and without the leading `cut`. Raises ArtifactMismatchError."""
    for file in files:
        entry = tarfile.TarInfo(f"{folder}/{file.path.removeprefix(cut)}")
        entry.size = file.size_bytes
        entry.mode = 0o644
        yield entry.tobuf(tarfile.PAX_FORMAT)
        async for chunk in _stream_file(artifact, file):
            yield chunk
        # tar fills each file up to a whole block, and ends with two empty ones.
        yield b"\0" * (-file.size_bytes % tarfile.BLOCKSIZE)
    yield b"\0" * (2 * tarfile.BLOCKSIZE)
