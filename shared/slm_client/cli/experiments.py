"""`slm experiments …`."""

from collections.abc import Mapping
from functools import partial
from typing import Annotated

import typer

from slm_client.cli.commands import Commands
from slm_client.cli.following import describe, follow_experiment
from slm_client.cli.options import Cursor, Gateway, Json, Limit, Search, Status, patient_client
from slm_client.cli.progress import Stages
from slm_client.cli.terminal import Columns, moment, number, print_facts, print_json, print_table, print_text
from slm_client.models import Checkpoint, Checkpoints, Comparison, Drift, Experiment, Log, Page
from slm_client.synchronous import SlmClient

app = Commands(help="Watch training runs and inspect their results.", rich_markup_mode=None)

ExperimentId = Annotated[str, typer.Argument(metavar="EXPERIMENT", help="Id of the experiment.")]

COLUMNS: Columns[Experiment] = [
    ("ID", lambda each: each.id),
    ("NAME", lambda each: each.name),
    ("STATUS", lambda each: each.status),
    ("DATASET", lambda each: each.training_dataset and each.training_dataset.name),
    ("STEP", lambda each: _step(each)),
    ("TRAIN LOSS", lambda each: number(each.train_loss)),
    ("EVAL LOSS", lambda each: number(each.eval_loss)),
    ("STARTED", lambda each: moment(each.started_at)),
]
CHECKPOINT_COLUMNS: Columns[Checkpoint] = [
    ("STEP", lambda each: each.step),
    ("LOSS", lambda each: number(each.metrics.get("loss"))),
    ("EVAL LOSS", lambda each: number(each.metrics.get("eval_loss"))),
    ("STORED", lambda each: moment(each.created_at)),
]


def _print_log(found: Log) -> None:
    for line in found.lines:
        print_text(f"{moment(line.time) or ''} {line.level:<8}{line.message}".strip())


def _print_drift(found: Drift) -> None:
    shown = {name: values.get("difference") for name, values in found.metrics.items()}
    facts = [(f"Difference of {name}", str(value)) for name, value in shown.items() if value is not None]
    identical = "yes, to the last bit" if found.identical else "no"
    print_facts(
        [("Identical model", identical), *facts, ("Largest difference of a loss", found.largest_loss_difference)]
    )


def _print_comparison(found: Comparison) -> None:
    columns: Columns[Experiment] = [
        ("NAME", lambda each: each.name),
        ("STATUS", lambda each: each.status),
        *[(name.upper(), partial(_option_of, values)) for name, values in found.differences.items()],
        ("TRAIN LOSS", lambda each: number(each.train_loss)),
        ("EVAL LOSS", lambda each: number(each.eval_loss)),
    ]
    print_table(found.experiments, columns)


def _option_of(values: Mapping[str, object], experiment: Experiment) -> object:
    return values.get(experiment.id)


def print_experiment(experiment: Experiment) -> None:
    """Print one experiment."""
    config = ", ".join(f"{name}={value}" for name, value in experiment.config.items())
    print_facts(
        [
            ("Name", experiment.name),
            ("Id", experiment.id),
            ("Run", experiment.run_id),
            ("Status", experiment.status),
            ("Error", describe(experiment.error) if experiment.error else None),
            ("Attempt", experiment.attempt),
            ("Base model", experiment.base_model and experiment.base_model.name),
            ("Training dataset", experiment.training_dataset and experiment.training_dataset.name),
            ("Evaluation dataset", experiment.evaluation_dataset and experiment.evaluation_dataset.name),
            ("Step", _step(experiment)),
            ("Train loss", number(experiment.train_loss)),
            ("Eval loss", number(experiment.eval_loss)),
            ("Settings", config or None),
            ("Started", moment(experiment.started_at)),
            ("Completed", moment(experiment.completed_at)),
        ]
    )


def _step(experiment: Experiment) -> str | None:
    if experiment.progress is None or experiment.steps is not None:
        return str(experiment.steps) if experiment.steps is not None else None
    return f"{experiment.progress.step or 0}/{experiment.progress.total_steps or '?'}"


@app.answering(lambda found: print_table(found.items, COLUMNS), "list")
def list_experiments(
    client: SlmClient, status: Status = None, q: Search = None, limit: Limit = 50, cursor: Cursor = None
) -> Page[Experiment]:
    """List experiments, newest first."""
    return client.experiments.list(status=status, q=q, limit=limit, cursor=cursor)


@app.answering(print_experiment)
def show(client: SlmClient, experiment: ExperimentId) -> Experiment:
    """Show one experiment."""
    return client.experiments.get(experiment)


@app.command()
def watch(experiment: ExperimentId, gateway: Gateway = None, json: Json = False) -> None:
    """Show progress until the training ends; exit code 1 if it does not complete."""
    with patient_client(gateway) as client, Stages() as stages:
        found = follow_experiment(client, stages, experiment)
    print_json(found) if json else print_experiment(found)


@app.answering(_print_log)
def log(
    client: SlmClient,
    experiment: ExperimentId,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Maximum number of lines.")] = 200,
    level: Annotated[list[str] | None, typer.Option(help="Only lines of this level; may be repeated.")] = None,
    q: Annotated[str | None, typer.Option("--search", "-q", help="Only lines with this text.")] = None,
) -> Log:
    """Print the last lines of the trainer's log."""
    return client.experiments.log(experiment, limit=limit, levels=level or (), q=q)


@app.answering(lambda found: print_table(found.items, CHECKPOINT_COLUMNS))
def checkpoints(client: SlmClient, experiment: ExperimentId) -> Checkpoints:
    """List the checkpoints from which training can resume."""
    return client.experiments.checkpoints(experiment)


@app.answering(_print_drift)
def drift(client: SlmClient, experiment: ExperimentId) -> Drift:
    """Show how a reproduction differs from the original experiment."""
    return client.experiments.drift(experiment)


@app.answering(_print_comparison)
def compare(
    client: SlmClient,
    experiments: Annotated[list[str], typer.Argument(metavar="EXPERIMENT...", help="Ids of experiments.")],
) -> Comparison:
    """Compare experiments: the options in which they differ, and their losses."""
    return client.experiments.compare(experiments)
