"""`slm train`: launch a run from a configuration file, from options, or from both (options win)."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from slm_client.base_models import base_model_of, is_external
from slm_client.calls.datasets import UploadOptions
from slm_client.cli.datasets import Usage, uploaded_or_found
from slm_client.cli.experiments import print_experiment
from slm_client.cli.failures import BadInputError
from slm_client.cli.following import follow_experiment, follow_processing
from slm_client.cli.models import bring_model
from slm_client.cli.options import Follow, Gateway, Json, patient_client
from slm_client.cli.progress import Stages
from slm_client.cli.runs import print_plan, print_run
from slm_client.cli.terminal import print_json, print_sentence
from slm_client.config_file import data_file, name_of, names_dataset, overridden, read_config
from slm_client.pipeline import dataset_named
from slm_client.synchronous import SlmClient


class Method(StrEnum):
    """What is trained: all weights of the base model, or small adapters beside them."""

    FULL = "full"
    LORA = "lora"


ConfigFile = Annotated[
    Path | None,
    typer.Argument(exists=True, dir_okay=False, help="YAML file with settings; `slm runs schema` prints its schema."),
]
MethodOption = Annotated[Method | None, typer.Option("--method", help="Train all weights (full) or an adapter (lora).")]
Epochs = Annotated[float | None, typer.Option(help="Passes over the training rows.")]
LearningRate = Annotated[float | None, typer.Option(help="Peak learning rate.")]
BatchSize = Annotated[int | None, typer.Option(help="Rows per optimiser step.")]


def train(
    config: ConfigFile = None,
    name: Annotated[str | None, typer.Option(help="Name of the run; the model family is derived from it.")] = None,
    base_model: Annotated[
        str | None,
        typer.Option(help="Base model: a name, a folder, or owner/name on the Hugging Face hub (default: nano-v1)."),
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="Training dataset: id, name or family.")] = None,
    evaluation_dataset: Annotated[str | None, typer.Option(help="Evaluation dataset: id, name or family.")] = None,
    method: MethodOption = None,
    epochs: Epochs = None,
    learning_rate: LearningRate = None,
    batch_size: BatchSize = None,
    draft: Annotated[bool, typer.Option("--draft", help="Save a draft, to edit and start later.")] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Only plan memory and time; start nothing.")] = False,
    follow: Follow = False,
    gateway: Gateway = None,
    json: Json = False,
) -> None:
    """Launch a training run from a configuration file, from options, or both (options win)."""
    settings = read_config(config) if config else {}
    given = {
        "name": name,
        "base_model": base_model,
        "training_dataset": dataset,
        "evaluation_dataset": evaluation_dataset,
        "method": str(method) if method else None,
        "epochs": epochs,
        "learning_rate": learning_rate,
        "batch_size": batch_size,
    }
    settings = overridden(settings, {field: value for field, value in given.items() if value is not None})
    settings = _completed(settings, config, gateway=gateway)
    if plan:
        _plan(settings, gateway=gateway, json=json)
    else:
        _launch({**settings, **({"draft": True} if draft else {})}, follow=follow, gateway=gateway, json=json)


def _completed(settings: dict[str, Any], config: Path | None, *, gateway: str | None) -> dict[str, Any]:
    """The settings with a dataset (uploaded if they name a file), a registered base model and a name."""
    file = None if settings.get("training_dataset") else data_file(settings, beside=config)
    if file is not None:
        settings = _uploaded(settings, file, gateway=gateway)
    if is_external(base := base_model_of(settings)):
        with SlmClient(gateway) as client:
            settings = overridden(settings, {"base_model": bring_model(client, str(base)).name})
    if not names_dataset(settings):
        raise BadInputError(
            "No training dataset is named.", hint="give --dataset NAME, or training_dataset in the file"
        )
    if name_of(settings) is None:
        settings["name"] = str(settings.get("training_dataset") or (config.stem if config else "run"))
    return settings


def _uploaded(settings: dict[str, Any], file: Path, *, gateway: str | None) -> dict[str, Any]:
    """The settings with the dataset that the uploaded file makes."""
    with patient_client(gateway) as client, Stages() as stages:
        uploaded = uploaded_or_found(client, stages, file, UploadOptions(usage=Usage.TRAINING))
        return dataset_named(settings, file, follow_processing(client, stages, uploaded).name)


def _plan(settings: dict[str, Any], *, gateway: str | None, json: bool) -> None:
    with patient_client(gateway) as client:
        plan = client.runs.preflight(settings)
    print_json(plan) if json else print_plan(plan)


def _launch(settings: dict[str, Any], *, follow: bool, gateway: str | None, json: bool) -> None:
    with SlmClient(gateway) as client:
        run = client.runs.launch(settings)
    if not follow:
        print_json(run) if json else print_run(run)
        if not json:
            print_sentence(f"\nWatch it: slm experiments watch {run.experiment_id}")
        return
    with patient_client(gateway) as client, Stages() as stages:
        experiment = follow_experiment(client, stages, run.experiment_id)
    print_json(experiment) if json else print_experiment(experiment)
