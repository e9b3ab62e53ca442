"""The configuration of a run: the fields of `POST /api/runs`, which are also those of a configuration file.

Every option has one flat name. The blocks of a file (`model`, `training_data`, `hyperparameters`, `optimization`,
`lora`, `evaluation`, `deployment`) and the names Hugging Face and TRL use are other ways to say the same; what is said
twice has to agree.
"""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from slm_shared.http.requests import Body
from slm_training.domain import DEFAULT_LEARNING_RATES, Objective
from slm_training.schemas import blocks
from slm_training.schemas.fields import (
    Accumulation,
    BatchSize,
    Beta,
    Device,
    Epochs,
    EvalSteps,
    Family,
    GradNorm,
    LearningRate,
    LoraAlpha,
    LoraDropout,
    LoraRank,
    MaxLength,
    MaxSteps,
    MemoryGb,
    Method,
    MetricNames,
    Name,
    ObjectiveName,
    Optimizer,
    Patience,
    Precision,
    Priority,
    Processes,
    Reference,
    Scheduler,
    Seed,
    Switch,
    Tags,
    TargetModules,
    Text,
    ValidationSplit,
    WarmupRatio,
    WarmupSteps,
    WeightDecay,
)

SCHEMA_VERSION = 1
SCHEMA_ID = f"urn:slm-platform:run-config:{SCHEMA_VERSION}"


class Options(Body):
    """How to train; Hugging Face and TRL names where they exist."""

    method: Method = "full"
    objective: ObjectiveName = Field("auto", description="By default what the row format is for.")
    epochs: Epochs = 3.0
    max_steps: MaxSteps | None = None
    learning_rate: LearningRate | None = None
    batch_size: BatchSize = 16
    gradient_accumulation_steps: Accumulation = 1
    max_length: MaxLength = 256
    seed: Seed = 42
    warmup_ratio: WarmupRatio = 0.05
    warmup_steps: WarmupSteps | None = None
    weight_decay: WeightDecay = 0.0
    max_grad_norm: GradNorm = 1.0
    optimizer: Optimizer = "adamw"
    scheduler: Scheduler = "linear"
    packing: Switch = Field("auto", description="Several rows in one sequence, each seeing only itself.")
    precision: Precision = "auto"
    gradient_checkpointing: Switch = "auto"
    completion_only_loss: bool = Field(True, description="Whether prompts are left out of the loss.")
    assistant_only_loss: bool = Field(True, description="Whether a conversation's other turns are left out of it.")
    lora_rank: LoraRank = 16
    lora_alpha: LoraAlpha = 32
    lora_dropout: LoraDropout = 0.0
    lora_target_modules: TargetModules = "all-linear"
    beta: Beta = 0.1
    validation_split: ValidationSplit | None = None
    eval_steps: EvalSteps | None = None
    early_stopping_patience: Patience | None = None
    save_best_model: bool = False
    num_processes: Processes = 1
    retry_with_smaller_batch: bool = Field(
        True, description="Out of memory: try once more with half the batch and twice the accumulation."
    )


class RunCreate(Options):
    """What to train: a base model, data, and options by their usual names."""

    schema_version: Literal[1] = 1
    name: Name
    family: Family | None = None
    goal: Text | None = None
    description: Text | None = None
    tags: Tags = Field(default_factory=list)
    priority: Priority = 0
    draft: bool = Field(False, description="Keep it to be edited and started later.")
    base_model: Reference = "nano-v1"
    training_dataset: Reference
    evaluation_dataset: Reference | None = None
    evaluation_metrics: MetricNames = Field(default_factory=list)
    device: Device = "auto"
    min_memory_gb: MemoryGb | None = Field(None, description="Memory the worker must have.")

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
        chosen = {name: getattr(self, name) for name in Options.model_fields}
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
