"""The result folder: weights, tokenizer, chat template and the record of how they came to be."""

import json
import shutil
from pathlib import Path
from typing import Any, cast

import torch
from peft import PeftModel
from safetensors import safe_open
from transformers import PreTrainedModel

from slm_training.worker.job import LocalDataset, TrainingJob

# Copied from the base byte for byte: saving them anew would rewrite them in the library's current dialect.
TOKENIZER_FILES = (
    "added_tokens.json",
    "chat_template.jinja",
    "merges.txt",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "vocab.json",
)
DTYPES = {"F16": torch.float16, "BF16": torch.bfloat16}


def disk_dtype(base_folder: Path) -> torch.dtype:
    """The type the base's weights are stored in, read from the first tensor of its safetensors."""
    first = min(base_folder.glob("*.safetensors"))
    with safe_open(str(first), framework="pt") as weights:
        name = next(iter(weights.keys()))
        return DTYPES.get(weights.get_slice(name).get_dtype(), torch.float32)


def save_model(trained: PreTrainedModel | PeftModel, job: TrainingJob) -> PreTrainedModel:
    """Write the weights and return the model as it was saved, in fp32.

    An adapter is saved beside the model it is merged into. The weights take the type of the base on disk (nano: fp16),
    so what is evaluated afterwards is what anybody will load, rounding included.
    """
    folder = job.output_folder
    folder.mkdir(parents=True, exist_ok=True)
    model: Any = _merge_adapter(trained, job) if isinstance(trained, PeftModel) else trained
    model.to(device="cpu", dtype=disk_dtype(job.base_folder))
    # The trainer switches the cache off; whoever generates with the result wants what the base had.
    base = json.loads((job.base_folder / "config.json").read_text())
    model.config.use_cache = base.get("use_cache", True)
    model.save_pretrained(folder)
    for name in TOKENIZER_FILES:
        if (job.base_folder / name).exists():
            shutil.copyfile(job.base_folder / name, folder / name)
    return cast(PreTrainedModel, model.to(dtype=torch.float32))


def _merge_adapter(trained: PeftModel, job: TrainingJob) -> PreTrainedModel:
    folder = job.output_folder / "adapter"
    # The folder the base was loaded from means nothing elsewhere.
    trained.peft_config["default"].base_model_name_or_path = job.run.base_model.name
    trained.save_pretrained(str(folder), save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)
    merged: Any = trained.merge_and_unload()
    return cast(PreTrainedModel, merged)


def write_record(job: TrainingJob, facts: dict[str, Any]) -> None:
    """Write `training.json`: everything needed to do it again, and what came out. It names no times and no machine."""
    run = job.run
    record = {
        "config": run.config.model_dump(),
        "base_model": {"name": run.base_model.name, "manifest_sha256": run.base_model.manifest_sha256},
        "training_dataset": _dataset_record(job.training),
        "evaluation_dataset": _dataset_record(job.evaluation),
        **facts,
    }
    path = job.output_folder / "training.json"
    path.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")


def _dataset_record(local: LocalDataset | None) -> dict[str, Any] | None:
    kept = {"name", "sha256", "rows", "row_format", "mapping"}
    return None if local is None else local.source.model_dump(include=kept)
