"""The base model and its tokenizer, or a line that says why they cannot be trained."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from slm_ml.model import load_model
from slm_ml.tokenizer import load_tokenizer
from slm_training.worker.errors import TrainingError


@dataclass(frozen=True)
class Base:
    """What is trained; rows may have up to `max_length` tokens."""

    model: PreTrainedModel
    tokenizer: Any
    max_length: int


def load_base(folder: Path, *, max_length: int) -> Base:
    """Load a base model from its folder: safetensors and JSON only, never code. Raises TrainingError."""
    if not any(folder.glob("*.safetensors")):
        raise TrainingError("base_model_not_supported", "The base model holds no safetensors weights.")
    try:
        model = load_model(folder, dtype=torch.float32)
        tokenizer = load_tokenizer(folder)
    except (ImportError, KeyError, OSError, TypeError, ValueError) as error:
        what = "The base model cannot be loaded: its architecture or its tokenizer is not supported here."
        raise TrainingError("base_model_not_supported", what) from error
    if tokenizer.eos_token_id is None:
        what = "The tokenizer of the base model has no stop token: a model trained with it would never end an answer."
        raise TrainingError("no_stop_token", what)
    longest = int(getattr(model.config, "max_position_embeddings", max_length) or max_length)
    return Base(model, tokenizer, min(max_length, longest))
