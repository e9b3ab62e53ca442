"""`slm runs …`."""

from typing import Annotated

import typer

from slm_client.cli.following import describe
from slm_client.cli.options import Cursor, Gateway, Json, Limit
from slm_client.cli.terminal import moment, output, print_facts, print_json, print_table
from slm_client.models import Run
from slm_client.synchronous import SlmClient

app = typer.Typer(help="Look at runs, cancel them.", rich_markup_mode=None)

RunId = Annotated[str, typer.Argument(metavar="RUN", help="Id of the run.")]


@app.command("list")
def list_runs(
    status: Annotated[
        str | None, typer.Option(help="Only queued, running, completed, failed or cancelled ones.")
    ] = None,
    q: Annotated[str | None, typer.Option("--search", "-q", help="Only those whose name contains this.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    gateway: Gateway = None,
    json: Json = False,
) -> None:
    """List runs, newest first."""
    with SlmClient(gateway) as client:
        page = client.runs.list(status=status, q=q, limit=limit, cursor=cursor)
    if json:
        print_json(page)
        return
    print_table(
        page.items,
        [
            ("ID", lambda each: each.id),
            ("NAME", lambda each: each.name),
            ("STATE", lambda each: each.state),
            ("BASE", lambda each: each.base_model and each.base_model.name),
            ("DATASET", lambda each: each.training_dataset and each.training_dataset.name),
            ("CREATED", lambda each: moment(each.created_at)),
        ],
    )


@app.command()
def show(run: RunId, gateway: Gateway = None, json: Json = False) -> None:
    """Show one run."""
    with SlmClient(gateway) as client:
        found = client.runs.get(run)
    print_json(found) if json else print_run(found)


@app.command()
def cancel(run: RunId, gateway: Gateway = None, json: Json = False) -> None:
    """Stop a run; the trainer ends within seconds."""
    with SlmClient(gateway) as client:
        found = client.runs.cancel(run)
    if json:
        print_json(found)
    else:
        output.print(f"Run {found.name} ({found.id}) is being cancelled; it is {found.state} now.", markup=False)


def print_run(run: Run) -> None:
    """Print one run."""
    config = ", ".join(f"{name}={value}" for name, value in run.config.items())
    print_facts(
        [
            ("Name", run.name),
            ("Id", run.id),
            ("Experiment", run.experiment_id),
            ("State", run.state),
            ("Error", describe(run.error) if run.error else None),
            ("Base model", run.base_model and run.base_model.name),
            ("Training dataset", run.training_dataset and run.training_dataset.name),
            ("Evaluation dataset", run.evaluation_dataset and run.evaluation_dataset.name),
            ("Settings", config or None),
            ("Created", moment(run.created_at)),
        ]
    )
