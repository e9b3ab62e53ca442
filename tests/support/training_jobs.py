"""Training jobs on the built-in model, run in the test's own process."""

from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any
from uuid import UUID

import polars

from slm_training.worker.child.training import run_training
from slm_training.worker.job import TrainingJob, TrainingResult

NANO = Path(str(files("slm_ml"))) / "builtin" / "nano-v1"
SOMEBODY = UUID(int=1)
CONFIG: dict[str, Any] = {
    "method": "full",
    "epochs": 2,
    "learning_rate": 2e-3,
    "batch_size": 8,
    "max_length": 128,
    "seed": 42,
    "warmup_ratio": 0.05,
    "weight_decay": 0.0,
    "lora_rank": 4,
    "lora_alpha": 8,
    "precision": "fp32",
}


@dataclass
class Said:
    """What a training said, and where its result lies."""

    folder: Path
    messages: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    result: TrainingResult | None = None

    def send(self, kind: str, **fields: Any) -> None:
        """Take one message."""
        self.messages.append((kind, fields))

    def has_message(self) -> bool:
        """Never."""
        return False

    def values(self, name: str) -> list[float]:
        """One metric series."""
        return [each["values"][name] for kind, each in self.messages if kind == "metric" and name in each["values"]]

    @property
    def lines(self) -> list[str]:
        """The log."""
        return [each["message"] for kind, each in self.messages if kind == "log"]

    @property
    def chosen(self) -> dict[str, Any]:
        """What the trainer settled by itself, without the reasons."""
        (choices,) = [each["choices"] for kind, each in self.messages if kind == "chosen"]
        return {name: choice["value"] for name, choice in choices.items()}


def make_job(
    folder: Path, rows: list[dict[str, Any]], *, row_format: str, base: Path = NANO, **config: Any
) -> TrainingJob:
    """A job on `rows` with one thread."""
    folder.mkdir(parents=True)
    path = folder / "rows.parquet"
    polars.DataFrame(rows).write_parquet(path)
    source = {"id": SOMEBODY, "name": "rows-v1", "object_key": "", "sha256": "0", "rows": len(rows), "mapping": {}}
    source["row_format"] = row_format
    model = {"id": SOMEBODY, "name": "nano-v1", "artifact_prefix": "", "manifest_key": "", "manifest_sha256": "1"}
    run = {"run_id": SOMEBODY, "experiment_id": SOMEBODY, "epoch": 1, "attempt": 1, "name": "n", "artifact_prefix": "r"}
    run |= {"config": {**CONFIG, **config}, "base_model": model, "training_dataset": source}
    return TrainingJob.model_validate(
        {
            "run": run,
            "base_folder": base,
            "training": {"source": source, "path": path},
            "evaluation": None,
            "output_folder": folder / "result",
            "scratch_folder": folder / "scratch",
            "threads": 1,
            "checkpoint_s": 1e9,
        }
    )


def train(folder: Path, rows: list[dict[str, Any]], *, row_format: str = "prompt/completion", **config: Any) -> Said:
    """Train to the end and say what was said."""
    job = make_job(folder, rows, row_format=row_format, **config)
    said = Said(job.output_folder)
    said.result = run_training(job, said)
    return said
