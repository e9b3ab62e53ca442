"""Models that were made elsewhere: an archive in Hugging Face's layout becomes a version of a family.

Only weights as safetensors and text files are accepted: nothing that runs when it is loaded.
"""

import shutil
import tarfile
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from anyio import to_thread
from sqlalchemy.ext.asyncio import AsyncSession

from slm_registry import store
from slm_registry.domain import model_name
from slm_registry.errors import ArchiveInvalidError
from slm_registry.schemas import Model, UploadFields
from slm_registry.service.folders import FolderFacts, describe_folder, load_config, tensor_header
from slm_registry.service.reading import get_model
from slm_registry.service.registration import Registrar
from slm_registry.tables import ModelRow
from slm_shared.http.forms import FileTooLargeError
from slm_shared.references import PinnedReference
from slm_shared.storage import audit, manifest
from slm_shared.storage.ids import new_id
from slm_shared.storage.objects import ObjectStore

SUFFIXES = frozenset({".jinja", ".json", ".md", ".model", ".safetensors", ".txt"})
TOKENIZERS = ("tokenizer.json", "tokenizer.model")
FOLDERS = frozenset({"", "adapter"})
# Large models come in some dozens of shards.
MAX_FILES = 500
COPY_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Unpacked:
    """A model in a folder of this machine, which ends with the block that it was unpacked for."""

    folder: Path
    facts: FolderFacts

    async def store(self, objects: ObjectStore) -> None:
        """Upload the files to where their manifest belongs."""
        await manifest.upload(objects, self.folder, self.facts.artifact_prefix)

    async def register(self, session: AsyncSession, *, registrar: Registrar, fields: UploadFields, owner: str) -> Model:
        """Register the model, whose files are stored, as the next version of its family.

        With `base_model` it counts as fine-tuned. Raises what `get_model` raises about the base.
        """
        base = await get_model(session, fields.base_model) if fields.base_model else None
        version = await store.next_version(session, fields.family)
        new = ModelRow(
            id=new_id(),
            name=model_name(fields.family, version),
            family=fields.family,
            version=version,
            kind="fine_tuned" if base else "base",
            base_model=PinnedReference(id=base.id, name=base.name) if base else None,
            description=fields.description,
            tags=fields.tags,
            owner=owner,
            config={"source": fields.source} if fields.source else {},
            **asdict(self.facts),
        )
        row = await registrar.add(session, new)
        assert row is not None
        if base is not None:
            await store.count_use(session, base.id, "training")
        await audit.append(session, "model.uploaded", actor=owner, object_id=row.id, name=row.name)
        # Its aliases were read before one moved to it.
        session.expire(row)
        return Model.of(await get_model(session, str(new.id)))


class Archive:
    """A tar archive (plain or gzip) on its way to this machine, and the folder that it is unpacked into."""

    def __init__(self, folder: Path, file: IO[bytes], *, max_bytes: int) -> None:
        self._folder, self._file, self.max_bytes = folder, file, max_bytes

    async def write(self, piece: bytes) -> None:
        """Take the next bytes of the archive."""
        await to_thread.run_sync(self._file.write, piece)

    async def unpack(self) -> Unpacked:
        """Unpack the archive, which has arrived whole, and describe the model in it.

        Raises ArchiveInvalidError naming the file that is wrong, and FileTooLargeError.
        """
        self._file.seek(0)
        facts = await to_thread.run_sync(_unpack, self._file, self._folder, self.max_bytes)
        return Unpacked(self._folder, facts)


@asynccontextmanager
async def receiving(*, max_bytes: int) -> AsyncIterator[Archive]:
    """Receive one archive; it and what it was unpacked into last as long as the block."""
    folder = Path(await to_thread.run_sync(tempfile.mkdtemp))
    try:
        with tempfile.TemporaryFile() as file:
            yield Archive(folder, file, max_bytes=max_bytes)
    finally:
        await to_thread.run_sync(partial(shutil.rmtree, folder, ignore_errors=True))


def _unpack(archive: IO[bytes], folder: Path, max_bytes: int) -> FolderFacts:
    try:
        # As a stream (`|`): an archive is read once, and no entry can point back into it.
        with tarfile.open(fileobj=archive, mode="r|*") as members:
            _extract(members, folder, max_bytes)
    except (tarfile.TarError, EOFError, OSError) as error:
        hint = "Pack the folder of the model with tar, e.g. tar cf model.tar my-model."
        raise ArchiveInvalidError("The archive cannot be read as tar.", hint=hint) from error
    _check(folder)
    try:
        return describe_folder(folder)
    except (KeyError, TypeError, ValueError) as error:
        raise ArchiveInvalidError("The weights or the configuration cannot be read.") from error


def _extract(members: tarfile.TarFile, folder: Path, max_bytes: int) -> None:
    """Write the files below the archive's one folder, by counted bytes."""
    top: str | None = None
    left = max_bytes
    for count, member in enumerate(members):
        if count >= MAX_FILES:
            raise ArchiveInvalidError(f"The archive has more than {MAX_FILES} entries.")
        if member.isdir():
            continue
        top, path = _place(member, top)
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        source = members.extractfile(member)
        if target.exists() or source is None:
            raise ArchiveInvalidError(f"The archive has {path} twice.")
        with target.open("wb") as out:
            while chunk := source.read(COPY_BYTES):
                left -= len(chunk)
                if left < 0:
                    raise FileTooLargeError(f"The files are larger than {max_bytes} bytes together.")
                out.write(chunk)


def _place(member: tarfile.TarInfo, top: str | None) -> tuple[str, PurePosixPath]:
    """The folder that everything lies in, and the place of one file below it."""
    path = PurePosixPath(member.name)
    parts = [part for part in path.parts if part != "."]
    shown = "".join(char for char in path.name if char.isprintable())[:80]
    if not member.isfile() or path.is_absolute() or ".." in parts or "\\" in member.name or not parts:
        raise ArchiveInvalidError(f"The entry {shown} is not a plain file inside the archive.")
    here = parts[0] if len(parts) > 1 and parts[0] != "adapter" else ""
    if top is not None and here != top:
        raise ArchiveInvalidError("The archive must hold the files of one model, in one folder or in none.")
    inner = PurePosixPath(*(parts[1:] if here else parts))
    folder = "" if inner.parent == PurePosixPath(".") else inner.parent.as_posix()
    if inner.suffix not in SUFFIXES or folder not in FOLDERS:
        allowed = ", ".join(sorted(SUFFIXES))
        raise ArchiveInvalidError(
            f"The file {shown} is of a kind that is not accepted.", hint=f"Accepted are {allowed}."
        )
    return here, inner


def _check(folder: Path) -> None:
    """Raise ArchiveInvalidError unless the folder holds a causal language model with tokenizer, and no code."""
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise ArchiveInvalidError("The archive has no weights as safetensors.", hint="Save with save_pretrained.")
    if not any((folder / name).exists() for name in TOKENIZERS):
        raise ArchiveInvalidError(f"The archive has no tokenizer: none of {', '.join(TOKENIZERS)}.")
    try:
        config = load_config(folder)
    except (OSError, ValueError) as error:
        raise ArchiveInvalidError("The config.json is missing or is not a JSON object.") from error
    if "auto_map" in config:
        raise ArchiveInvalidError("The config.json asks for code of its own, which is never run here.")
    if not any("CausalLM" in str(name) for name in config.get("architectures") or []):
        raise ArchiveInvalidError("The config.json names no causal language model among its architectures.")
    for path in weights:
        try:
            tensor_header(path)
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise ArchiveInvalidError(f"The file {path.name} is not safetensors.") from error
