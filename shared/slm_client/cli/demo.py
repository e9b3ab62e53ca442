"""`slm demo`: the platform's main job from a data file to an evaluated model, in the open."""

import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from slm_client.calls.datasets import UploadOptions
from slm_client.cli import demo_data
from slm_client.cli.datasets import FileFormat, Usage, uploaded_or_found
from slm_client.cli.demo_report import DemoResult, print_report
from slm_client.cli.failures import BadInputError
from slm_client.cli.following import follow_evaluation, follow_experiment, follow_processing
from slm_client.cli.local import is_installed, launch_for_this_command
from slm_client.cli.options import Gateway, Json, patient_client
from slm_client.cli.progress import Stages
from slm_client.cli.terminal import errors, print_json
from slm_client.cli.training import BatchSize, Epochs, LearningRate, MethodOption
from slm_client.errors import UnexpectedAnswerError, UnreachableError
from slm_client.models import Dataset, Evaluation, Model, Run
from slm_client.synchronous import SlmClient

REGISTRATION_TIMEOUT_S = 300.0


def demo(
    data: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Use this CSV, JSON, JSONL or Parquet file."),
    ] = None,
    base_model: Annotated[str | None, typer.Option(help="Base model (default: nano-v1).")] = None,
    method: MethodOption = None,
    epochs: Epochs = None,
    learning_rate: LearningRate = None,
    batch_size: BatchSize = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the training.")] = None,
    gateway: Gateway = None,
    json: Json = False,
) -> None:
    """Upload data, train on it, register and evaluate the model, and show the result.

    Without a platform at the usual address, one is started on this machine and stopped at the end.
    Every step is an ordinary request; running the demo again makes a new model version from the same datasets. Of your
    own file, one row in ten is held out for the evaluation.
    """
    settings: dict[str, Any] = {
        "base_model": base_model,
        "method": str(method) if method else None,
        "epochs": epochs,
        "learning_rate": learning_rate,
        "batch_size": batch_size,
        "seed": seed,
    }
    with _client(gateway) as client, Stages() as stages, tempfile.TemporaryDirectory() as folder:
        source = _source(client, stages, data, Path(folder))
        training, evaluation = _upload(client, stages, source)
        run = _launch(client, stages, source.family, training=training, evaluation=evaluation, settings=settings)
        experiment = follow_experiment(client, stages, run.experiment_id)
        model = _registered(client, stages, run)
        tuned, base = _evaluated(client, stages, model, evaluation)
        result = DemoResult(client.address, model, training, evaluation, experiment, tuned, base)
    print_json(result.as_json()) if json else print_report(result)


def _client(gateway: str | None) -> SlmClient:
    """A client of the platform; where none was named and none is there, this command starts again around one."""
    try:
        return patient_client(gateway)
    except (UnreachableError, UnexpectedAnswerError):
        if gateway is not None or not is_installed():
            raise
    launch_for_this_command()


def _source(client: SlmClient, stages: Stages, path: Path | None, folder: Path) -> demo_data.DemoData:
    """The two files to upload; Parquet is turned into rows by the platform first."""
    if path is None:
        return demo_data.sample_data()
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        path = _as_rows(client, stages, path, folder)
    elif suffix not in demo_data.TEXT_FORMATS:
        raise BadInputError(
            f"The demo cannot read {path.name}.", hint="the demo takes .csv, .json, .jsonl and .parquet"
        )
    errors.print("One row in ten is held out for the evaluation.", markup=False)
    return demo_data.split_file(path, folder)


def _as_rows(client: SlmClient, stages: Stages, path: Path, folder: Path) -> Path:
    family = demo_data.family_of(path)
    uploaded = uploaded_or_found(client, stages, path, UploadOptions(usage=Usage.TRAINING, name=f"{family}-source"))
    follow_processing(client, stages, uploaded)
    rows = folder / f"{family}.jsonl"
    client.datasets.download(uploaded.id, rows, file_format=FileFormat.JSONL)
    return rows


def _upload(client: SlmClient, stages: Stages, source: demo_data.DemoData) -> tuple[Dataset, Dataset]:
    """Both datasets, processed."""
    training = uploaded_or_found(
        client, stages, source.training, UploadOptions(usage=Usage.TRAINING, name=source.family)
    )
    evaluation = uploaded_or_found(
        client, stages, source.evaluation, UploadOptions(usage=Usage.EVALUATION, name=f"{source.family}-eval")
    )
    return follow_processing(client, stages, training), follow_processing(client, stages, evaluation)


def _launch(
    client: SlmClient, stages: Stages, name: str, *, training: Dataset, evaluation: Dataset, settings: dict[str, Any]
) -> Run:
    stage = stages.stage("Launch")
    request = {"name": name, "training_dataset": training.name, "evaluation_dataset": evaluation.name, **settings}
    run = client.runs.launch(request)
    base = run.base_model.name if run.base_model else "the base model"
    stage.done(f"run {run.id} on {base}")
    return run


def _registered(client: SlmClient, stages: Stages, run: Run) -> Model:
    stage = stages.stage("Registration")
    model = client.models.wait_for_experiment(run.experiment_id, timeout_s=REGISTRATION_TIMEOUT_S)
    stage.done(f"{model.name} ({model.id})")
    return model


def _evaluated(
    client: SlmClient, stages: Stages, model: Model, dataset: Dataset
) -> tuple[Evaluation, Evaluation | None]:
    """What the model scores, and what its base scores on the same rows."""
    begun = client.evaluations.wait_for(model_id=model.id, dataset_id=dataset.id, timeout_s=REGISTRATION_TIMEOUT_S)
    base = None
    if model.base_model is not None:
        base_begun = client.evaluations.wait_for(
            model_id=model.base_model.id, dataset_id=dataset.id, timeout_s=REGISTRATION_TIMEOUT_S
        )
        base = follow_evaluation(client, stages, base_begun, title="Evaluation of base")
    tuned = follow_evaluation(client, stages, begun, title="Evaluation of model")
    return tuned, base
