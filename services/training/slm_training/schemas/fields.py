"""The types of a run's settings: each range stands once, for the flat names and the blocks alike."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from slm_training.domain import MAX_FAMILY_LENGTH, without_version

Name = Annotated[str, Field(min_length=1, max_length=120)]
Text = Annotated[str, Field(max_length=4000)]
Reference = Annotated[str, Field(min_length=1, max_length=200, description="An id, `<family>-v<n>`, or a family.")]
Family = Annotated[
    str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=MAX_FAMILY_LENGTH), AfterValidator(without_version)
]
Tag = Annotated[str, Field(min_length=1, max_length=60)]
Tags = Annotated[list[Tag], Field(max_length=20)]
Priority = Annotated[int, Field(strict=True, ge=-100, le=100, description="Higher ones are claimed first.")]

Method = Literal["full", "lora"]
ObjectiveName = Literal["auto", "sft", "pretrain", "dpo"]
Epochs = Annotated[float, Field(strict=True, gt=0, le=100, description="Passes over the training rows.")]
MaxSteps = Annotated[int, Field(strict=True, ge=1, le=10_000_000, description="Ends earlier than `epochs` would.")]
LearningRate = Annotated[float, Field(strict=True, ge=1e-8, le=1, description="The peak of the schedule.")]
BatchSize = Annotated[
    int, Field(strict=True, ge=1, le=1024, description="Rows per forward and backward pass, over all processes.")
]
Accumulation = Annotated[
    int, Field(strict=True, ge=1, le=1024, description="Passes per optimiser step: batch_size times this is a step.")
]
MaxLength = Annotated[int, Field(strict=True, ge=8, le=8192, description="Tokens of a row; more are cut off.")]
Seed = Annotated[int, Field(strict=True, ge=0, lt=2**32)]
WarmupRatio = Annotated[float, Field(strict=True, ge=0, lt=1, description="Share of the steps.")]
WarmupSteps = Annotated[int, Field(strict=True, ge=0, le=1_000_000, description="In place of warmup_ratio.")]
WeightDecay = Annotated[float, Field(strict=True, ge=0, le=1)]
GradNorm = Annotated[float, Field(strict=True, gt=0, le=1000, description="Longer gradients are scaled down to it.")]
Optimizer = Annotated[
    Literal["adamw", "adafactor", "sgd"],
    BeforeValidator(lambda value: "adamw" if value == "adamw_torch" else value),
]
Scheduler = Literal["linear", "cosine", "cosine_with_restarts", "polynomial", "constant", "constant_with_warmup"]
Switch = Annotated[Literal["auto"] | bool, Field(union_mode="left_to_right")]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
LoraRank = Annotated[int, Field(strict=True, ge=1, le=512)]
LoraAlpha = Annotated[int, Field(strict=True, ge=1, le=1024)]
LoraDropout = Annotated[float, Field(strict=True, ge=0, lt=1)]
Beta = Annotated[float, Field(strict=True, gt=0, le=10, description="DPO: how close to stay to the base model.")]
ValidationSplit = Annotated[
    float, Field(strict=True, gt=0, le=0.5, description="Share of the training rows that is held out to evaluate on.")
]
EvalSteps = Annotated[int, Field(strict=True, ge=1, le=1_000_000, description="Evaluate every so many steps.")]
Patience = Annotated[int, Field(strict=True, ge=1, le=100, description="Evaluations without a better loss.")]
Processes = Annotated[int, Field(strict=True, ge=1, le=64, description="On one machine, by torchrun.")]
MemoryGb = Annotated[float, Field(strict=True, gt=0, le=100_000)]
Device = Literal["auto", "cpu", "gpu"]


def _joined(value: object) -> object:
    """A list of module names as one string, which is how a configuration keeps it."""
    if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        return ",".join(value)
    return value


TargetModules = Annotated[
    str,
    BeforeValidator(_joined),
    Field(
        pattern=r"^[A-Za-z0-9_.-]+(,[A-Za-z0-9_.-]+)*$",
        max_length=500,
        description="`all-linear`, or names of modules, as a list or joined by commas.",
    ),
]
MetricName = Annotated[
    Literal["loss", "perplexity", "accuracy", "token_accuracy", "exact_match", "f1", "f1_score", "bleu", "rouge"],
    Field(description="Shown first in the evaluation; all that apply are measured."),
]
MetricNames = Annotated[list[MetricName], Field(max_length=20)]
EarlyStoppingMetric = Literal["eval_loss", "validation_loss"]
