"""Rules of the registry: names, versions, architecture, aliases."""

import re
from collections.abc import Mapping
from typing import Any

_NAME = re.compile(r"(?P<family>[a-z0-9]+(?:-[a-z0-9]+)*)-v(?P<version>[1-9][0-9]{0,8})")
ARCHITECTURE_FIELDS = (
    "model_type",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "vocab_size",
    "max_position_embeddings",
    "tie_word_embeddings",
)


LATEST = "latest"
CHAMPION = "champion"
MAX_ALIAS_LENGTH = 40
_ALIAS = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_VERSION = re.compile(r"v[0-9]+")


def is_alias(name: str) -> bool:
    """Whether an alias may be called so; what looks like a version may not."""
    return bool(_ALIAS.fullmatch(name)) and len(name) <= MAX_ALIAS_LENGTH and not _VERSION.fullmatch(name)


def model_name(family: str, version: int) -> str:
    """The name of a version, e.g. `commands-v3`."""
    return f"{family}-v{version}"


def parse_model_name(name: str) -> tuple[str, int] | None:
    """Family and version of `<family>-v<n>`, or None for any other text."""
    found = _NAME.fullmatch(name)
    return (found["family"], int(found["version"])) if found else None


def architecture_of(config: Mapping[str, Any]) -> dict[str, object]:
    """What a model's `config.json` says about its architecture."""
    known = {name: config[name] for name in ARCHITECTURE_FIELDS if name in config}
    return {"architectures": config.get("architectures", []), **known}


def parameters_in(header: Mapping[str, Any]) -> int:
    """Parameters in a safetensors file, by its header: the sum of the tensors' sizes.

    Format: https://huggingface.co/docs/safetensors/index#format
    """
    total = 0
    for name, tensor in header.items():
        if name != "__metadata__":
            size = 1
            for length in tensor["shape"]:
                size *= length
            total += size
    return total
