"""A file as the parts of an upload."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from slm_client.calls.base import ProgressCallback
from slm_client.errors import SlmError
from slm_client.models import UploadPart, UploadState

PARTS_FROM_BYTES = 64 * 1024 * 1024
"""Files from this size on are sent in parts, so that a broken connection costs one part and not the whole file."""


def size_of(path: Path) -> int:
    """The size of a file in bytes."""
    return path.stat().st_size


def sha256_of(path: Path) -> str:
    """SHA-256 (hex) of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class PartToSend:
    """The bytes of one part that the platform does not have yet."""

    part: UploadPart
    data: bytes

    @property
    def sha256(self) -> str:
        """SHA-256 (hex) of these bytes."""
        return hashlib.sha256(self.data).hexdigest()


class FileInParts:
    """A file as the parts of one upload; `sha256` is that of the whole once all of them were read."""

    def __init__(self, path: Path, state: UploadState, on_progress: ProgressCallback | None) -> None:
        if path.stat().st_size != state.size_bytes:
            raise SlmError(
                f"{path} has {path.stat().st_size} bytes, the upload was begun with {state.size_bytes}.",
                code="offset_mismatch",
                status=409,
                hint="Begin a new upload.",
            )
        self._path, self._state, self._on_progress = path, state, on_progress
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """SHA-256 (hex) of all that was read."""
        return self._digest.hexdigest()

    def missing(self) -> Iterator[PartToSend]:
        """Every part that has to be sent; progress counts a part as sent when the next one is asked for."""
        with self._path.open("rb") as file:
            for part in self._state.parts:
                data = file.read(part.size_bytes)
                self._digest.update(data)
                if not part.is_stored:
                    yield PartToSend(part, data)
                if self._on_progress:
                    self._on_progress(len(data))
