"""A checkpoint as a folder of files: everything a training needs to go on as if it had never stopped.

Tensors as safetensors, the rest as JSON, nothing pickled: a checkpoint comes back from an object store, and unpickling
would run whatever somebody put there. A checkpoint is a folder that appears under its name only when it is whole.
"""

import json
import os
import random
import shutil
from pathlib import Path
from typing import Any

import numpy
import torch
from safetensors.torch import load_file, save_file
from transformers.trainer import TRAINER_STATE_NAME

WEIGHTS = "weights.safetensors"
OPTIMIZER = "optimizer.safetensors"
RANDOM = "random.safetensors"
REST = "rest.json"


class CheckpointError(Exception):
    """The checkpoint does not belong to this model or this trainer."""


def folder_of(scratch: Path, step: int) -> Path:
    """Where the checkpoint of an optimiser step lies."""
    return scratch / f"checkpoint-{step:08d}"


def save(trainer: Any, folder: Path) -> None:
    """Write the whole state of a trainer between two optimiser steps: weights, optimizer, scheduler, scaler, random
    numbers, position in the data, losses so far. On disk when this returns."""
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    save_file(trained_weights(trainer.model), partial / WEIGHTS)
    for best in folder.parent.glob("best-*.safetensors"):
        shutil.copyfile(best, partial / best.name)
    tensors, plain, groups = _flat(trainer.optimizer.state_dict())
    save_file(tensors, partial / OPTIMIZER)
    save_file(_random_tensors(), partial / RANDOM)
    scaler = trainer.accelerator.scaler
    rest = {
        "param_groups": groups,
        "plain": plain,
        "scheduler": trainer.lr_scheduler.state_dict(),
        "scaler": scaler.state_dict() if scaler is not None else None,
        "python_random": random.getstate(),
        "seen_tokens": trainer.seen_tokens,
        "step_losses": trainer.step_losses,
        "best": trainer.best,
    }
    (partial / REST).write_text(json.dumps(rest))
    trainer.state.save_to_json(str(partial / TRAINER_STATE_NAME))
    # The files before the name under which they count, so that no crash leaves a name without its content.
    _sync(*partial.iterdir(), partial)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    _sync(folder.parent)


def load_weights(trainer: Any, folder: Path) -> None:
    """Put the weights back. Raises CheckpointError when they are another model's."""
    put_weights(trainer.model, load_file(folder / WEIGHTS))
    for best in folder.glob("best-*.safetensors"):
        scratch = Path(str(trainer.args.output_dir))
        scratch.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(best, scratch / best.name)


def put_weights(model: Any, stored: dict[str, torch.Tensor]) -> None:
    """Put trained weights into a model. Raises CheckpointError when they are another model's."""
    here = trained_weights(model)
    if {name: tensor.shape for name, tensor in stored.items()} != {name: each.shape for name, each in here.items()}:
        raise CheckpointError("the checkpoint holds other weights than the model")
    with torch.no_grad():
        for name, tensor in stored.items():
            here[name].copy_(tensor)


def load_optimizer(trainer: Any, folder: Path) -> None:
    """Put optimizer, scheduler, scaler and what the trainer counts back."""
    rest = _rest(folder)
    states: dict[int, dict[str, Any]] = {}
    for name, value in (*load_file(folder / OPTIMIZER).items(), *rest.get("plain", {}).items()):
        index, _, key = name.partition(".")
        states.setdefault(int(index), {})[key] = value
    trainer.optimizer.load_state_dict({"state": states, "param_groups": rest["param_groups"]})
    trainer.lr_scheduler.load_state_dict(rest["scheduler"])
    if rest["scaler"] is not None and trainer.accelerator.scaler is not None:
        trainer.accelerator.scaler.load_state_dict(rest["scaler"])
    trainer.seen_tokens, trainer.step_losses = rest["seen_tokens"], rest["step_losses"]
    trainer.best.update(rest.get("best", {}))


def load_random(folder: Path) -> None:
    """Put every random number generator back to where it was."""
    tensors = load_file(folder / RANDOM)
    version, internal, gauss = _rest(folder)["python_random"]
    random.setstate((version, tuple(internal), gauss))
    torch.set_rng_state(tensors["cpu"])
    name, *_ = numpy.random.get_state(legacy=True)
    position, has_gauss, cached = tensors["numpy_rest"].tolist()
    numpy.random.set_state((str(name), tensors["numpy"].numpy(), int(position), int(has_gauss), float(cached)))
    devices = sorted(key for key in tensors if key.startswith("cuda"))
    if devices and torch.cuda.is_available():
        torch.cuda.set_rng_state_all([tensors[key] for key in devices])


def trained_weights(model: Any) -> dict[str, torch.Tensor]:
    """What training changes: with an adapter only the adapter."""
    return {name: weight.data for name, weight in model.named_parameters() if weight.requires_grad}


def _flat(state: dict[str, Any]) -> tuple[dict[str, torch.Tensor], dict[str, Any], list[dict[str, Any]]]:
    """An optimizer's tensors and its plain values under `<parameter>.<name>`, and its groups."""
    tensors: dict[str, torch.Tensor] = {}
    plain: dict[str, Any] = {}
    for index, values in state["state"].items():
        for key, value in values.items():
            if isinstance(value, torch.Tensor):
                tensors[f"{index}.{key}"] = value.contiguous()
            elif value is None or isinstance(value, bool | int | float | str):
                plain[f"{index}.{key}"] = value
            else:
                raise CheckpointError(f"the optimizer keeps {key} as {type(value).__name__}")
    return tensors, plain, state["param_groups"]


def _random_tensors() -> dict[str, torch.Tensor]:
    _, keys, position, has_gauss, cached = numpy.random.get_state(legacy=True)
    tensors = {
        "cpu": torch.get_rng_state(),
        "numpy": torch.from_numpy(numpy.asarray(keys).copy()),
        "numpy_rest": torch.tensor([position, has_gauss, cached], dtype=torch.float64),
    }
    if torch.cuda.is_available():
        tensors |= {f"cuda{index:03d}": state for index, state in enumerate(torch.cuda.get_rng_state_all())}
    return tensors


def _rest(folder: Path) -> dict[str, Any]:
    rest: dict[str, Any] = json.loads((folder / REST).read_text())
    return rest


def _sync(*paths: Path) -> None:
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
