"""The configuration of a run: the fields of `POST /api/runs`, which are also those of a configuration file.

Every option has one flat name. It may also be given in its block of a file (`model`, `training_data`,
`hyperparameters`, `optimization`, `lora`, `evaluation`, `deployment`) or under the name that Hugging Face and TRL use.
If an option is given twice, both values must match.

The console makes its fields of a committed copy of the JSON Schema, so that its form needs no question to the platform:
`python -m slm_training.schemas.config > services/ui/slm_ui/assets/run-config.json`.
"""

import json
import sys
from typing import Any, Self

from pydantic import model_validator

from slm_shared.http.requests import Body
from slm_training.domain import DEFAULT_LEARNING_RATES, Objective
from slm_training.schemas import blocks
from slm_training.schemas.options import RunOptions, TrainerOptions

SCHEMA_VERSION = 1
SCHEMA_ID = f"urn:slm-platform:run-config:{SCHEMA_VERSION}"


class RunCreate(RunOptions, Body):
    """What to train: a base model, data, and options by their usual names."""

    model: blocks.ModelBlock | None = None
    training_data: blocks.DataBlock | None = None
    hyperparameters: blocks.HyperparameterBlock | None = None
    optimization: blocks.OptimizationBlock | None = None
    lora: blocks.LoraBlock | None = None
    evaluation: blocks.EvaluationBlock | None = None
    deployment: blocks.DeploymentBlock | None = None

    @model_validator(mode="before")
    @classmethod
    def _one_name_each(cls, given: Any) -> Any:
        return blocks.flattened(given) if isinstance(given, dict) else given

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        measured = self.evaluation_dataset is not None or self.validation_split is not None
        if (self.save_best_model or self.early_stopping_patience) and not measured:
            raise ValueError(
                "early stopping and save_best_model need an evaluation_dataset or a validation_split to measure on"
            )
        if self.evaluation_dataset is not None and self.validation_split is not None:
            raise ValueError("give an evaluation_dataset or a validation_split, not both")
        if self.num_processes > 1 and self.batch_size % self.num_processes:
            raise ValueError("batch_size must be a multiple of num_processes")
        return self

    def config(self, *, objective: Objective) -> dict[str, Any]:
        """The options with every default filled in, as flat scalars; what does not apply is left out."""
        chosen = {name: getattr(self, name) for name in (*TrainerOptions.model_fields, "retry_with_smaller_batch")}
        chosen["objective"] = str(objective)
        chosen["learning_rate"] = self.learning_rate or DEFAULT_LEARNING_RATES[objective, self.method]
        if self.evaluation_metrics:
            chosen["evaluation_metrics"] = ",".join(self.evaluation_metrics)
        return {name: value for name, value in chosen.items() if value is not None}

    def needs(self) -> dict[str, Any]:
        """What a worker must have to take the run."""
        memory = {} if self.min_memory_gb is None else {"memory_gb": self.min_memory_gb}
        processes = {} if self.num_processes == 1 else {"processes": self.num_processes}
        return ({} if self.device == "auto" else {"device": self.device}) | memory | processes


def config_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a configuration file."""
    schema = RunCreate.model_json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": "Training configuration",
        # Each may also be given in its block, or under the name that Hugging Face and TRL use.
        **{key: value for key, value in schema.items() if key not in ("title", "required")},
        "x-aliases": dict(sorted(blocks.ALIASES.items())),
    }


def render() -> str:
    """The JSON Schema as it is committed."""
    return json.dumps(config_schema(), indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    sys.stdout.write(render())
