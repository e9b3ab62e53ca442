"""What a folder in Hugging Face's layout says about the model in it, without torch."""

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slm_registry.domain import architecture_of, parameters_in
from slm_shared.storage.manifest import MANIFEST_NAME, build_manifest


@dataclass(frozen=True)
class FolderFacts:
    """Where the artifact of a folder belongs, named by its content, and what its files say of the model in it."""

    artifact_prefix: str
    manifest_key: str
    manifest_sha256: str
    size_bytes: int
    parameter_count: int
    architecture: Mapping[str, object]


def describe_folder(folder: Path) -> FolderFacts:
    """What a folder holds. Raises OSError and ValueError when it is not readable as a model."""
    files = build_manifest(folder)
    prefix = f"models/{files.sha256}"
    return FolderFacts(
        artifact_prefix=prefix,
        manifest_key=f"{prefix}/{MANIFEST_NAME}",
        manifest_sha256=files.sha256,
        size_bytes=files.size_bytes,
        parameter_count=sum(parameters_in(tensor_header(path)) for path in folder.glob("*.safetensors")),
        architecture=architecture_of(load_config(folder)),
    )


def load_config(folder: Path) -> Mapping[str, Any]:
    """The `config.json` of a model. Raises OSError, and ValueError when it is no JSON object."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if not isinstance(config, dict):
        raise ValueError("not an object")
    return config


def tensor_header(path: Path) -> Mapping[str, Any]:
    """The header of a safetensors file: each tensor's type, shape and place.

    Raises ValueError when the file is none. Format: https://huggingface.co/docs/safetensors/index#format
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        start = stream.read(8)
        # The length comes from a stranger: nothing is read by it before it is compared with the file.
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else size
        if length > size - 8:
            raise ValueError("the header is longer than the file")
        header: dict[str, Any] = json.loads(stream.read(length))
    places = [tensor["data_offsets"] for name, tensor in header.items() if name != "__metadata__"]
    if any(not 0 <= begin <= end <= size - 8 - length for begin, end in places):
        raise ValueError("a tensor lies outside the file")
    return header
