"""A model's files as streams, each checked against the manifest while it is sent."""

import hashlib
import tarfile
from collections.abc import AsyncIterator, Sequence

from slm_shared.storage.manifest import ArtifactMismatchError, Manifest, ManifestFile
from slm_shared.storage.objects import ObjectStore


async def stream_file(objects: ObjectStore, prefix: str, file: ManifestFile) -> AsyncIterator[bytes]:
    """The bytes of one file.

    Raises ArtifactMismatchError before the last byte is sent when the content is not what the manifest says, so that
    nobody receives a complete file that is wrong.
    """
    digest, held, size_bytes = hashlib.sha256(), b"", 0
    async for chunk in objects.stream(f"{prefix}/{file.path}"):
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


ADAPTER = "adapter/"


def part_of(manifest: Manifest, *, adapter: bool) -> list[ManifestFile]:
    """The files of the LoRA adapter, or those of the model that it is merged into."""
    return [file for file in manifest.files if file.path.startswith(ADAPTER) is adapter]


async def stream_archive(
    objects: ObjectStore, prefix: str, files: Sequence[ManifestFile], *, folder: str, cut: str = ""
) -> AsyncIterator[bytes]:
    """Files as one tar archive, below `folder` and without the leading `cut`. Raises ArtifactMismatchError."""
    for file in files:
        entry = tarfile.TarInfo(f"{folder}/{file.path.removeprefix(cut)}")
        entry.size = file.size_bytes
        entry.mode = 0o644
        yield entry.tobuf(tarfile.PAX_FORMAT)
        async for chunk in stream_file(objects, prefix, file):
            yield chunk
        yield b"\0" * (-file.size_bytes % tarfile.BLOCKSIZE)
    yield b"\0" * (2 * tarfile.BLOCKSIZE)
