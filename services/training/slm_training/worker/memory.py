"""How much memory a training takes, estimated before it begins.

Weights, gradients and two moments of the optimiser in fp32 are 16 bytes per trained parameter, a frozen one is 4.
Activations are counted as in Korthikanti et al., 2022 (https://arxiv.org/abs/2205.05198), section 4, for one layer:
s*b*h*(34 + 5*a*s/h) bytes in 16 bits; here doubled where they are kept in fp32. The output layer's scores count three
times in fp32 (scores, log-probabilities, gradient), for the share of positions that is learned.
"""

from typing import Any

import psutil
import torch

from slm_training.worker.job import TrainingConfig

GIGABYTE = 1e9
PROCESS_GB = 0.6
"""What a process with its libraries holds before there is a model."""


def available_gb(device: str) -> float:
    """Memory of the device that is free now."""
    if device == "cuda":
        free, _ = torch.cuda.mem_get_info()
        return float(free) / GIGABYTE
    return float(psutil.virtual_memory().available) / GIGABYTE


def total_gb(device: str) -> float:
    """All memory of the device."""
    if device == "cuda":
        return float(torch.cuda.get_device_properties(0).total_memory) / GIGABYTE
    return float(psutil.virtual_memory().total) / GIGABYTE


def estimated_gb(
    config: TrainingConfig, model: Any, *, parameters: int, longest: int, trained: int | None = None
) -> float:
    """Memory in GB of a training of rows of `longest` tokens; `model` is the model's configuration.

    `trained` parameters change; by default all of them, or for LoRA a hundredth.
    """
    if trained is None:
        trained = parameters if config.method == "full" else parameters // 100
    hidden, layers = int(getattr(model, "hidden_size", 0)), int(getattr(model, "num_hidden_layers", 0))
    heads, vocabulary = int(getattr(model, "num_attention_heads", 1)), int(getattr(model, "vocab_size", 0))
    rows = max(1, config.batch_size // config.num_processes) * (2 if config.objective == "dpo" else 1)
    tokens = rows * longest
    per_layer = 2 * tokens * (34 * hidden + 5 * heads * longest)
    activations = per_layer * layers if config.gradient_checkpointing is not True else 4 * tokens * hidden * layers
    scores = 3 * 4 * tokens * vocabulary
    return PROCESS_GB + (16 * trained + 4 * (parameters - trained) + activations + scores) / GIGABYTE
