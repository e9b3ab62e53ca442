"""The blocks of a configuration file, and how they become flat options."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Optional

from pydantic import Field, GetPydanticSchema, create_model

from slm_shared.http.requests import Body
from slm_training.schemas.options import Patience, types_of_options

ALIASES = {
    "dataset_version": "training_dataset",
    "eval_dataset": "evaluation_dataset",
    "num_train_epochs": "epochs",
    "per_device_train_batch_size": "batch_size",
    "lr_scheduler_type": "scheduler",
    "optim": "optimizer",
    "max_seq_length": "max_length",
    "lora_r": "lora_rank",
    "target_modules": "lora_target_modules",
    "load_best_model_at_end": "save_best_model",
}
"""Other names of options, to the flat ones."""

FLAT_NAMES = {
    "model": {"name": "name", "base_model": "base_model"},
    "training_data": {
        "dataset": "training_dataset",
        "dataset_version": "training_dataset",
        "evaluation_dataset": "evaluation_dataset",
        "validation_split": "validation_split",
    },
    "hyperparameters": {
        name: name
        for name in (
            "learning_rate", "batch_size", "epochs", "warmup_steps", "warmup_ratio", "weight_decay", "max_length",
            "gradient_accumulation_steps", "max_grad_norm", "seed",
        )
    },
    "optimization": {"optimizer": "optimizer", "scheduler": "scheduler"},
    "lora": {name: f"lora_{name}" for name in ("rank", "alpha", "dropout", "target_modules")},
    "evaluation": {
        "dataset": "evaluation_dataset",
        "metrics": "evaluation_metrics",
        "save_best_model": "save_best_model",
        "eval_steps": "eval_steps",
    },
}  # fmt: skip
"""Which flat option a field of a block stands for."""


def _block(name: str, title: str, about: str, **own: Any) -> GetPydanticSchema:
    """The block `name`: its options, each as it is declared, and fields of its `own`. All of them may be left out."""
    options = types_of_options()
    types = {field: options[option] for field, option in FLAT_NAMES[name].items()} | own
    fields: dict[str, Any] = {field: (Optional[kind], None) for field, kind in types.items()}  # noqa: UP045
    model = create_model(title, __base__=Body, __doc__=about, **fields)
    return GetPydanticSchema(lambda _, handler: handler(model))


class EarlyStoppingBlock(Body):
    """Stop when the evaluation loss has not become better `patience` times in a row."""

    enabled: bool = True
    patience: Patience = 3
    metric: Literal["eval_loss", "validation_loss"] = "eval_loss"


class DeploymentBlock(Body):
    """Deploying is asked of a registered model, never of a run: only `auto_deploy: false` is taken."""

    auto_deploy: Literal[False] = False
    deployment_target: Literal["local", "ollama", "huggingface", "cloud"] | None = None
    health_check_enabled: bool | None = None


ModelBlock = Annotated[object, _block("model", "ModelBlock", "`name` names the run.", model_type=Literal["fine_tuned"])]
DataBlock = Annotated[
    object,
    _block(
        "training_data",
        "DataBlock",
        "Which rows; a `path` is for the client, which uploads the file and names the dataset in its place.",
        source=Literal["dataset", "file"],
        path=Annotated[str, Field(max_length=1000)],
        format=Literal["csv", "json", "jsonl", "parquet"],
    ),
]
HyperparameterBlock = Annotated[
    object, _block("hyperparameters", "HyperparameterBlock", "The numbers of the training.")
]
OptimizationBlock = Annotated[
    object,
    _block("optimization", "OptimizationBlock", "The optimiser and its schedule.", early_stopping=EarlyStoppingBlock),
]
LoraBlock = Annotated[object, _block("lora", "LoraBlock", "The adapter of `method: lora`.")]
EvaluationBlock = Annotated[
    object, _block("evaluation", "EvaluationBlock", "What is measured on the evaluation rows, and when.")
]


def flattened(given: dict[str, Any]) -> dict[str, Any]:
    """The same configuration under the flat names; what is not known stays where it is, for the model to refuse.

    Raises ValueError for an option that is given twice with different values, and for a path.
    """
    flat = {name: value for name, value in given.items() if name not in ALIASES}
    said: dict[str, Any] = dict(flat)
    for place, name, value in _elsewhere(given):
        if name in said and said[name] != value:
            raise ValueError(f"{name} and {place} say different things")
        said[name] = value
    return {**_without_moved(flat), **{name: value for name, value in said.items() if name not in FLAT_NAMES}}


def _elsewhere(given: dict[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Where else an option was given: the place, its flat name, the value."""
    for alias, name in ALIASES.items():
        if alias in given:
            yield alias, name, given[alias]
    for block, names in FLAT_NAMES.items():
        content = given.get(block)
        if not isinstance(content, dict):
            continue
        if block == "training_data" and "path" in content:
            raise ValueError("training_data.path names a file that a client uploads first; name a dataset here")
        for field, value in content.items():
            flat = names.get(field) or (ALIASES.get(field) if block in ("hyperparameters", "optimization") else None)
            if flat is not None:
                yield f"{block}.{field}", flat, value
    yield from _early_stopping(given)


def _early_stopping(given: dict[str, Any]) -> Iterator[tuple[str, str, Any]]:
    optimization = given.get("optimization")
    content = optimization.get("early_stopping") if isinstance(optimization, dict) else None
    if isinstance(content, dict) and content.get("enabled", True) is True:
        patience = content.get("patience", EarlyStoppingBlock.model_fields["patience"].default)
        yield "optimization.early_stopping", "early_stopping_patience", patience


def _without_moved(flat: dict[str, Any]) -> dict[str, Any]:
    """The blocks without what has a flat name now: it is checked once, there."""
    left = dict(flat)
    for block, names in FLAT_NAMES.items():
        content = flat.get(block)
        if isinstance(content, dict):
            moved = {*names, *(ALIASES if block in ("hyperparameters", "optimization") else ())}
            left[block] = {field: value for field, value in content.items() if field not in moved}
    return left
