"""External base models: a folder of safetensors, or a model of the Hugging Face hub at a fixed revision.

The registry records the source of such a model, so that the same files are registered once. Only safetensors and text
files are taken: nothing that runs when it is loaded.
"""

import hashlib
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from slm_client.errors import SlmError
from slm_client.packing import SUFFIXES, model_files

HUB_ID = re.compile(r"[\w.-]{1,96}/[\w.-]{1,96}(?:@[\w./-]{1,100})?", re.ASCII)
FAMILY_LENGTH = 80


class BaseModelError(SlmError):
    """An external base model cannot be read or fetched."""

    code, status = "base_model_unavailable", 422


@dataclass(frozen=True)
class BaseModelFiles:
    """A folder or tar file with a model in it, the family to register it in, and the source to record for it."""

    path: Path
    family: str
    source: str


def is_external(reference: object) -> bool:
    """Whether a reference names a folder or a model of the hub, and not one of the platform's own models."""
    return isinstance(reference, str) and ("/" in reference or os.sep in reference or Path(reference).exists())


def base_model_of(config: Mapping[str, Any]) -> object:
    """The base model that a configuration names, or None."""
    block = config.get("model")
    return config.get("base_model") or (block.get("base_model") if isinstance(block, Mapping) else None)


@contextmanager
def base_model_files(reference: str) -> Iterator[BaseModelFiles]:
    """The files of a model, while the block lasts: those of a folder or tar file, or fetched from the hub.

    Raises BaseModelError when there is no such file or model, or the hub cannot be reached.
    """
    if (path := Path(reference)).exists():
        path = path.resolve()
        slug = _slug(path.name.partition(".tar")[0])
        yield BaseModelFiles(path, slug, f"files:{slug}@{_hash(path)}")
        return
    if not HUB_ID.fullmatch(reference):
        hint = "or name a model of the hub as owner/name"
        raise BaseModelError(f"There is no file or folder {reference}.", hint=hint)
    with tempfile.TemporaryDirectory() as folder:
        commit = _fetch(reference, Path(folder))
        repository = reference.partition("@")[0]
        yield BaseModelFiles(Path(folder), _slug(repository.partition("/")[2]), f"hf:{repository}@{commit}")


def _fetch(reference: str, folder: Path) -> str:
    """Fetch a model of the hub into a folder; returns the commit that its revision stands for."""
    try:
        from huggingface_hub import HfApi  # noqa: PLC0415  of the extra `hub`
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError  # noqa: PLC0415
    except ImportError:
        hint = "pip install 'slm-platform[hub]', or give a folder"
        raise BaseModelError("Models of the hub need the package huggingface_hub.", hint=hint) from None
    repository, _, revision = reference.partition("@")
    hub = HfApi(library_name="slm-platform")
    try:
        commit = str(hub.model_info(repository, revision=revision or None).sha)
        patterns = [f"*{suffix}" for suffix in sorted(SUFFIXES)]
        hub.snapshot_download(repository, revision=commit, local_dir=folder, allow_patterns=patterns)
    except (HfHubHTTPError, HFValidationError) as error:
        status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
        refused = "a private or gated one needs HF_TOKEN in the environment" if status in (401, 403, 404) else None
        raise BaseModelError(f"The hub does not give {reference}.", hint=refused) from error
    except (OSError, httpx2.HTTPError) as error:
        hint = "download it elsewhere and give its folder"
        raise BaseModelError(f"{reference} cannot be fetched: the hub cannot be reached.", hint=hint) from error
    return commit


def _slug(name: str) -> str:
    """A name as a model family: `SmolLM2-135M` becomes `smollm2-135m`."""
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower())[:FAMILY_LENGTH].strip("-")
    return re.sub(r"-v[0-9]+$", "", slug) or "model"


def _hash(path: Path) -> str:
    """SHA-256 over the names and contents of the files that would be taken."""
    found = hashlib.sha256()
    for file in model_files(path) if path.is_dir() else [path]:
        with file.open("rb") as stream:
            found.update(f"{file.relative_to(path).as_posix()}\n".encode())
            found.update(hashlib.file_digest(stream, "sha256").digest())
    return found.hexdigest()
