"""`slm train`: launch a run from a configuration file, from options, or from both (options win)."""

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from slm_client.cli.experiments import print_experiment
from slm_client.cli.failures import BadInputError
from slm_client.cli.following import follow_experiment
from slm_client.cli.options import Follow, Gateway, Json, patient_client
from slm_client.cli.progress import Stages
from slm_client.cli.runs import print_run
from slm_client.cli.terminal import output, print_json
from slm_client.synchronous import SlmClient


class Method(StrEnum):
    """How a base model is changed: all of its weights, or small adapters beside them."""

    FULL = "full"
    LORA = "lora"


class _ConfigLoader(yaml.SafeLoader):
    """YAML as people write it: PyYAML takes 1e-3 for text unless it is written 1.0e-3."""


_ConfigLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+(?:\.[0-9]*)?[eE][-+]?[0-9]+"), list("-+0123456789")
)


def train(
    config: Annotated[
        Path | None, typer.Argument(exists=True, dir_okay=False, help="A YAML file with the fields of POST /api/runs.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the run; its model family is made of it.")] = None,
    base_model: Annotated[str | None, typer.Option(help="The model to start from; nano-v1 if not given.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Training dataset: id, name or family.")] = None,
    evaluation_dataset: Annotated[str | None, typer.Option(help="Evaluation dataset: id, name or family.")] = None,
    method: Annotated[Method | None, typer.Option(help="How to train.")] = None,
    epochs: Annotated[float | None, typer.Option(help="Passes over the training rows.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Peak learning rate.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Rows per optimiser step.")] = None,
    follow: Follow = False,
    gateway: Gateway = None,
    json: Json = False,
) -> None:
    """Launch a training run; with --follow stay until it is done."""
    settings = _read(config) if config else {}
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
    settings |= {field: value for field, value in given.items() if value is not None}
    if "training_dataset" not in settings:
        raise BadInputError(
            "No training dataset is named.", hint="give --dataset NAME, or training_dataset in the file"
        )
    settings.setdefault("name", str(settings["training_dataset"]))
    _launch(settings, follow=follow, gateway=gateway, json=json)


def _launch(settings: dict[str, Any], *, follow: bool, gateway: str | None, json: bool) -> None:
    with SlmClient(gateway) as client:
        run = client.runs.launch(settings)
    if not follow:
        print_json(run) if json else print_run(run)
        if not json:
            output.print(f"\nWatch it: slm experiments watch {run.experiment_id}", markup=False)
        return
    with patient_client(gateway) as client, Stages() as stages:
        experiment = follow_experiment(client, stages, run.experiment_id)
    print_json(experiment) if json else print_experiment(experiment)


def _read(path: Path) -> dict[str, Any]:
    """The settings in a YAML file. Raises BadInputError that names the line."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_ConfigLoader)
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}" if error.problem_mark else "somewhere"
        raise BadInputError(f"{path} is not YAML: {line}: {error.problem or 'cannot be read'}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadInputError(f"{path} is not YAML text in UTF-8.") from error
    if not isinstance(content, dict) or not all(isinstance(field, str) for field in content):
        raise BadInputError(f"{path} does not hold settings.", hint="write one `field: value` per line")
    return content
