"""Every option of a training run, declared once: name, type, limits, default, help.

From here come the request and the configuration file (`config`), the blocks of that file (`blocks`), the configuration
that a trainer gets (`TrainingConfig`) and the published JSON Schema, which the console makes its fields of. To add an
option, add a field to `TrainerOptions`, or to `RunOptions` if only the service heeds it. Only pydantic is imported, for
trainers read this too. Options named `lora_…` have an effect only with `method: lora`.
"""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from slm_shared import metrics
from slm_training.domain import MAX_FAMILY_LENGTH, without_version

Name = Annotated[str, Field(min_length=1, max_length=120)]
Priority = Annotated[int, Field(strict=True, ge=-100, le=100, description="Higher ones are claimed first.")]

_Text = Annotated[str, Field(max_length=4000)]
_Reference = Annotated[str, Field(min_length=1, max_length=200, description="An id, `<family>-v<n>`, or a family.")]
_Tag = Annotated[str, Field(min_length=1, max_length=60)]
_Switch = Annotated[Literal["auto"] | bool, Field(union_mode="left_to_right")]
Patience = Annotated[int, Field(strict=True, ge=1, le=100, description="Evaluations without a better loss.")]
# What other tools call them; `f1_score` is scikit-learn's, which goes with accuracy.
_METRIC_ALIASES = {"f1": "macro_f1", "f1_score": "macro_f1", "rouge": "rouge_l"}
_MetricName = Annotated[
    str,
    BeforeValidator(lambda value: _METRIC_ALIASES.get(value, value) if isinstance(value, str) else value),
    AfterValidator(metrics.measured),
    Field(
        description="Kept with the run; an evaluation measures all that apply.",
        json_schema_extra={"enum": [*metrics.MEASURED, *_METRIC_ALIASES]},
    ),
]


def _joined(value: object) -> object:
    """A list of module names as one string, which is how a configuration keeps it."""
    if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        return ",".join(value)
    return value


class TrainerOptions(BaseModel):
    """How to train; Hugging Face and TRL names where they exist."""

    method: Literal["full", "lora"] = "full"
    objective: Literal["auto", "sft", "pretrain", "dpo"] = Field(
        "auto", description="By default what the row format is for."
    )
    epochs: Annotated[float, Field(strict=True, gt=0, le=100, description="Passes over the training rows.")] = 3.0
    max_steps: (
        Annotated[int, Field(strict=True, ge=1, le=10_000_000, description="Ends earlier than `epochs` would.")] | None
    ) = None
    learning_rate: (
        Annotated[float, Field(strict=True, ge=1e-8, le=1, description="The peak of the schedule.")] | None
    ) = None
    batch_size: Annotated[
        int, Field(strict=True, ge=1, le=1024, description="Rows per forward and backward pass, over all processes.")
    ] = 16
    gradient_accumulation_steps: Annotated[
        int,
        Field(strict=True, ge=1, le=1024, description="Passes per optimiser step: batch_size times this is a step."),
    ] = 1
    max_length: Annotated[int, Field(strict=True, ge=8, le=8192, description="Tokens of a row; more are cut off.")] = (
        256
    )
    seed: Annotated[int, Field(strict=True, ge=0, lt=2**32)] = 42
    warmup_ratio: Annotated[float, Field(strict=True, ge=0, lt=1, description="Share of the steps.")] = 0.05
    warmup_steps: (
        Annotated[int, Field(strict=True, ge=0, le=1_000_000, description="In place of warmup_ratio.")] | None
    ) = None
    weight_decay: Annotated[float, Field(strict=True, ge=0, le=1)] = 0.0
    max_grad_norm: Annotated[
        float, Field(strict=True, gt=0, le=1000, description="Longer gradients are scaled down to it.")
    ] = 1.0
    optimizer: Annotated[
        Literal["adamw", "adafactor", "sgd"],
        BeforeValidator(lambda value: "adamw" if value == "adamw_torch" else value),
    ] = "adamw"
    scheduler: Literal["linear", "cosine", "cosine_with_restarts", "polynomial", "constant", "constant_with_warmup"] = (
        "linear"
    )
    packing: _Switch = Field("auto", description="Several rows in one sequence, each seeing only itself.")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    gradient_checkpointing: _Switch = "auto"
    completion_only_loss: bool = Field(True, description="Whether prompts are left out of the loss.")
    assistant_only_loss: bool = Field(True, description="Whether a conversation's other turns are left out of it.")
    lora_rank: Annotated[int, Field(strict=True, ge=1, le=512)] = 16
    lora_alpha: Annotated[int, Field(strict=True, ge=1, le=1024)] = 32
    lora_dropout: Annotated[float, Field(strict=True, ge=0, lt=1)] = 0.0
    lora_target_modules: Annotated[
        str,
        BeforeValidator(_joined),
        Field(
            pattern=r"^[A-Za-z0-9_.-]+(,[A-Za-z0-9_.-]+)*$",
            max_length=500,
            description="`all-linear`, or names of modules, as a list or joined by commas.",
        ),
    ] = "all-linear"
    beta: Annotated[float, Field(strict=True, gt=0, le=10, description="DPO: how close to stay to the base model.")] = (
        0.1
    )
    validation_split: (
        Annotated[
            float,
            Field(strict=True, gt=0, le=0.5, description="Share of the training rows that is held out to evaluate on."),
        ]
        | None
    ) = None
    eval_steps: (
        Annotated[int, Field(strict=True, ge=1, le=1_000_000, description="Evaluate every so many steps.")] | None
    ) = None
    early_stopping_patience: Patience | None = None
    save_best_model: bool = False
    num_processes: Annotated[int, Field(strict=True, ge=1, le=64, description="On one machine, by torchrun.")] = 1


class RunOptions(TrainerOptions):
    """What a run is, what it works on, and which options the service heeds before a trainer gets it."""

    retry_with_smaller_batch: bool = Field(
        True, description="Out of memory: try once more with half the batch and twice the accumulation."
    )
    schema_version: Literal[1] = 1
    name: Name
    family: (
        Annotated[
            str,
            Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=MAX_FAMILY_LENGTH),
            AfterValidator(without_version),
        ]
        | None
    ) = None
    goal: _Text | None = None
    description: _Text | None = None
    tags: Annotated[list[_Tag], Field(max_length=20)] = Field(default_factory=list)
    priority: Priority = 0
    draft: bool = Field(False, description="Keep it to be edited and started later.")
    base_model: _Reference = "nano-v1"
    training_dataset: _Reference
    evaluation_dataset: _Reference | None = None
    evaluation_metrics: Annotated[list[_MetricName], Field(max_length=20)] = Field(default_factory=list)
    device: Literal["auto", "cpu", "gpu"] = "auto"
    min_memory_gb: Annotated[float, Field(strict=True, gt=0, le=100_000)] | None = Field(
        None, description="Memory the worker must have."
    )


class TrainingConfig(TrainerOptions):
    """The options as a trainer gets them, checked and filled in by the service.

    What an older service does not say has its default. `batch_size` counts rows per pass over all processes.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    objective: Literal["sft", "pretrain", "dpo"] = "sft"
    learning_rate: float
    # Without the limits of what may be asked for: a retry halves the batch and doubles the passes.
    batch_size: int
    gradient_accumulation_steps: int = 1

    @property
    def effective_batch(self) -> int:
        """Rows per optimiser step."""
        return self.batch_size * self.gradient_accumulation_steps


def types_of_options() -> dict[str, Any]:
    """The type of every option with its limits and help, by name."""
    return {**TrainerOptions.__annotations__, **RunOptions.__annotations__}
