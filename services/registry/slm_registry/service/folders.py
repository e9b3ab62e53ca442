"""What a folder in Hugging Face's layout says about the model in it, without torch."""

import json
import struct
from pathlib import Path
from typing import Any

from slm_registry.domain import architecture_of, parameters_in
from slm_shared.storage.manifest import MANIFEST_NAME, build_manifest


def describe_folder(folder: Path) -> dict[str, Any]:
    """Where its artifact belongs, named by its content, and its size, parameters and architecture.

    Raises OSError and ValueError for a folder that is not readable as a model.
    """
    files = build_manifest(folder)
    prefix = f"models/{files.sha256}"
    return {
        "artifact_prefix": prefix,
        "manifest_key": f"{prefix}/{MANIFEST_NAME}",
        "manifest_sha256": files.sha256,
        "size_bytes": files.size_bytes,
        "parameter_count": sum(parameters_in(tensor_header(path)) for path in folder.glob("*.safetensors")),
        "architecture": architecture_of(load_config(folder)),
    }


def load_config(folder: Path) -> dict[str, Any]:
    """The `config.json` of a model. Raises OSError, and ValueError when it is no JSON object."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if not isinstance(config, dict):
        raise ValueError("not an object")
    return config


def tensor_header(path: Path) -> dict[str, Any]:
    """The header of a safetensors file: each tensor's type, shape and place.

    Raises ValueError when the file is none. Format: https://huggingface.co/docs/safetensors/index#format
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        start = stream.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else size
        if length > size - 8:
            raise ValueError("the header is longer than the file")
        header: dict[str, Any] = json.loads(stream.read(length))
    places = [tensor["data_offsets"] for name, tensor in header.items() if name != "__metadata__"]
    if any(not 0 <= begin <= end <= size - 8 - length for begin, end in places):
        raise ValueError("a tensor lies outside the file")
    return header
