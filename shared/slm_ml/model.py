"""Loading models from a folder: safetensors and JSON only, never code from the folder."""

import json
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from slm_ml.tokenizer import load_tokenizer

__all__ = ["architecture", "load_model", "load_tokenizer", "parameter_count"]

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


def load_model(folder: Path, *, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    """A causal language model with its weights in `dtype`. Raises OSError when the folder holds none."""
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype, local_files_only=True, use_safetensors=True, trust_remote_code=False
    )
    return model


def parameter_count(model: PreTrainedModel) -> int:
    """Parameters of a model, tied ones counted once."""
    return sum(parameter.numel() for parameter in model.parameters())


def architecture(folder: Path) -> dict[str, Any]:
    """What a model folder's `config.json` says about its architecture."""
    config = json.loads((folder / "config.json").read_text())
    found = {name: config[name] for name in ARCHITECTURE_FIELDS if name in config}
    return {"architectures": config.get("architectures", []), **found}
