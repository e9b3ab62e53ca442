"""What the trainer settles by itself, each choice with its reason: precision, packing, attention, recomputation.

On a CPU, measured with a 2.8 M parameter Llama on 2 cores: bf16 autocast is 1.7 times as fast as fp32 where the
processor multiplies bf16 and slower where it emulates it; eager attention is 1.7 times as fast as the fused kernel,
whose backward pass is slow in bf16; recomputing activations costs a third of the speed and saves memory nobody lacks.
Packing keeps batches random; grouping rows by length is as fast, but batches of one kind of row learn less per step.
"""

from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedModel

from slm_ml.model import parameter_count
from slm_training.worker.child.device import GIGABYTE, available_gb, bf16_is_fast, wants_fp32
from slm_training.worker.child.rows import EncodedRows, padding_share
from slm_training.worker.errors import TrainingError
from slm_training.worker.job import TrainingConfig

# What a process with its libraries holds before there is a model.
PROCESS_GB = 0.6
# Eager attention keeps a score per pair of positions: beyond this length that costs more than it saves.
EAGER_ATTENTION_TOKENS = 512
# The share of padding from which packing pays for its masks.
WORTH_PACKING = 0.05
# An estimate may be a fifth too low; running out of memory costs an attempt.
ROOM = 0.8


@dataclass(frozen=True)
class Choices:
    """How to compute; parameters and optimiser states are fp32 in any case.

    `reasons` has value and reason by name, as the run keeps them.
    """

    device: str
    precision: str
    packing: bool
    gradient_checkpointing: bool
    eager_attention: bool
    reasons: dict[str, dict[str, Any]]

    @property
    def label(self) -> str:
        """For the record, e.g. `cpu, bf16 autocast`."""
        return f"{self.device}, {self.precision if self.precision == 'fp32' else f'{self.precision} autocast'}"


def choose(config: TrainingConfig, model: PreTrainedModel, rows: EncodedRows) -> Choices:
    """Settle what the configuration leaves open. Raises TrainingError for what the device cannot do."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    reasons: dict[str, dict[str, Any]] = {}

    def settle(name: str, value: Any, reason: str) -> Any:
        reasons[name] = {"value": value, "reason": reason}
        return value

    precision = settle("precision", *_precision(config, device))
    packing = settle("packing", *_packing(config, rows))
    recompute = settle("gradient_checkpointing", *_recomputation(config, model, rows, device))
    attention = settle("attention", *_attention(device, rows.longest))
    settle("threads", torch.get_num_threads(), "Every core this process may use.")
    return Choices(device, precision, packing, recompute, attention == "eager", reasons)


def _precision(config: TrainingConfig, device: str) -> tuple[str, str]:
    if wants_fp32():
        return "fp32", "The worker is set to fp32."
    if config.precision == "fp16" and device == "cpu":
        raise TrainingError(
            "precision_not_supported", "Training in fp16 needs a GPU. Use precision auto, bf16 or fp32."
        )
    if config.precision != "auto":
        return config.precision, "The configuration says so."
    if bf16_is_fast(device):
        return "bf16", f"The {'GPU' if device == 'cuda' else 'processor'} multiplies bf16 itself."
    return ("fp16", "The GPU has no bf16.") if device == "cuda" else ("fp32", "The processor would emulate bf16.")


def _packing(config: TrainingConfig, rows: EncodedRows) -> tuple[bool, str]:
    if config.objective == "pretrain":
        joined = config.packing is not False
        return False, "Texts are joined into full stretches." if joined else "The configuration says so."
    if config.objective == "dpo":
        return False, "Pairs of answers are grouped by length."
    if config.packing != "auto":
        return bool(config.packing), "The configuration says so."
    padding = padding_share(rows.lengths, config.effective_batch)
    told = f"Of a line per row {padding:.0%} would be padding"
    return (True, f"{told}.") if padding > WORTH_PACKING else (False, f"{told}: too little to pack.")


def _recomputation(config: TrainingConfig, model: PreTrainedModel, rows: EncodedRows, device: str) -> tuple[bool, str]:
    if config.gradient_checkpointing != "auto":
        return bool(config.gradient_checkpointing), "The configuration says so."
    needed = estimated_gb(config, model.config, parameters=parameter_count(model), longest=rows.longest)
    there = available_gb(device)
    told = f"About {needed:.1f} of {there:.1f} GB are needed without it."
    return needed > ROOM * there, told


def _attention(device: str, longest: int) -> tuple[str, str]:
    if device == "cpu" and longest <= EAGER_ATTENTION_TOKENS:
        return "eager", "The fused kernel is slow backwards on a processor, and rows are short."
    return "sdpa", "The fused kernel."


def estimated_gb(
    config: TrainingConfig, model: Any, *, parameters: int, longest: int, trained: int | None = None
) -> float:
    """Memory in GB of a training of rows of `longest` tokens; `model` is the model's configuration.

    `trained` parameters change; by default all of them, or for LoRA a hundredth.

    Weights, gradients and two moments of the optimiser in fp32 are 16 bytes per trained parameter, a frozen one is 4.
    Activations are counted as in Korthikanti et al., 2022 (https://arxiv.org/abs/2205.05198), section 4, for one layer:
    s*b*h*(34 + 5*a*s/h) bytes in 16 bits; here doubled where they are kept in fp32. The output layer's scores count
    three times in fp32 (scores, log-probabilities, gradient), for the share of positions that is learned.
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
