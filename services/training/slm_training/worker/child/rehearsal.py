"""A miniature run on the built-in model while no job is there yet.

The first step of a process is slow (0.6 to 1.1 s): modules imported on use, kernels and threads set up. Nobody should
wait for that after a launch. A run sets its own seeds, so nothing of this reaches a result.
"""

import contextlib
import ctypes
import gc
from importlib.resources import files
from pathlib import Path
from typing import Any
from uuid import UUID

import polars

from slm_training.worker.job import TrainingJob

NOBODY = UUID(int=0)
NEVER_S = 1e9
ROWS = [{"prompt": f"say {number}", "completion": f"the number {number}"} for number in range(4)]
CONFIG = {
    "method": "lora",
    "epochs": 2,
    "learning_rate": 1e-3,
    "batch_size": 4,
    "max_length": 64,
    "seed": 0,
    "warmup_ratio": 0.0,
    "weight_decay": 0.0,
    "lora_rank": 2,
    "lora_alpha": 2,
}


def rehearsal_job(folder: Path) -> TrainingJob:
    """A job of two steps that reads and writes only below `folder`, which the caller removes."""
    rows = folder / "rows.parquet"
    polars.DataFrame(ROWS).write_parquet(rows)
    return TrainingJob.model_validate(
        {
            "run": {
                "run_id": NOBODY,
                "experiment_id": NOBODY,
                "epoch": 0,
                "attempt": 0,
                "name": "rehearsal",
                "config": CONFIG,
                "base_model": _base(),
                "training_dataset": _dataset(),
                "artifact_prefix": "",
            },
            "base_folder": Path(str(files("slm_ml"))) / "builtin" / "nano-v1",
            "training": {"source": _dataset(), "path": rows},
            "evaluation": {"source": _dataset(), "path": rows},
            "output_folder": folder / "result",
            "scratch_folder": folder / "scratch",
            "threads": None,
            "checkpoint_s": NEVER_S,
        }
    )


def settle_memory() -> None:
    """A child may wait for hours: return what only the rehearsal needed, about 30 MB, where the C library can.

    What is left, modules above all, stays until the end: no later collection has to look at it. Accelerate collects
    before each training, which took half of the time to the first step (250 ms).
    """
    gc.collect()
    gc.freeze()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _base() -> dict[str, Any]:
    return {"id": NOBODY, "name": "nano-v1", "artifact_prefix": "", "manifest_key": "", "manifest_sha256": ""}


def _dataset() -> dict[str, Any]:
    shape = {"row_format": "prompt/completion", "mapping": {}, "rows": len(ROWS)}
    return {"id": NOBODY, "name": "rehearsal", "object_key": "", "sha256": "", **shape}
