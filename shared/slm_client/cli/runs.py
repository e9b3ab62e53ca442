"""`slm runs …`."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from slm_client.cli.following import describe
from slm_client.cli.options import Cursor, Gateway, Json, Limit, Search, Status
from slm_client.cli.terminal import Columns, moment, print_done, print_facts, print_json, print_list
from slm_client.config_file import read_config
from slm_client.models import Plan, Run
from slm_client.synchronous import SlmClient

app = typer.Typer(help="List, inspect and control runs.", rich_markup_mode=None)

RunId = Annotated[str, typer.Argument(metavar="RUN", help="Id of the run.")]


COLUMNS: Columns[Run] = [
    ("ID", lambda each: each.id),
    ("NAME", lambda each: each.name),
    ("STATE", lambda each: each.state),
    ("BASE", lambda each: each.base_model and each.base_model.name),
    ("DATASET", lambda each: each.training_dataset and each.training_dataset.name),
    ("CREATED", lambda each: moment(each.created_at)),
]


@app.command("list")
def list_runs(
    status: Status = None,
    q: Search = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    gateway: Gateway = None,
    json: Json = False,
) -> None:
    """List runs, newest first."""
    with SlmClient(gateway) as client:
        page = client.runs.list(status=status, q=q, limit=limit, cursor=cursor)
    print_list(page, page.items, COLUMNS, json=json)


@app.command()
def show(run: RunId, gateway: Gateway = None, json: Json = False) -> None:
    """Show one run."""
    with SlmClient(gateway) as client:
        found = client.runs.get(run)
    print_json(found) if json else print_run(found)


@app.command()
def cancel(run: RunId, gateway: Gateway = None, json: Json = False) -> None:
    """Cancel a run; its trainer stops within seconds."""
    _control(gateway, json, lambda client: client.runs.cancel(run), "is being cancelled")


@app.command()
def start(run: RunId, gateway: Gateway = None, json: Json = False) -> None:
    """Start a draft."""
    _control(gateway, json, lambda client: client.runs.start(run), "is queued")


@app.command()
def pause(run: RunId, gateway: Gateway = None, json: Json = False) -> None:
    """Pause a run at a checkpoint, to resume it later."""
    _control(gateway, json, lambda client: client.runs.pause(run), "is being paused")


@app.command()
def resume(run: RunId, gateway: Gateway = None, json: Json = False) -> None:
    """Resume a paused run from its newest checkpoint."""
    _control(gateway, json, lambda client: client.runs.resume(run), "is queued")


@app.command()
def reproduce(run: RunId, gateway: Gateway = None, json: Json = False) -> None:
    """Run exactly the same again; `slm experiments drift` shows what differs."""
    _control(gateway, json, lambda client: client.runs.reproduce(run), "is queued")


@app.command()
def clone(
    run: RunId,
    config: Annotated[
        Path | None, typer.Argument(exists=True, dir_okay=False, help="YAML file with changed settings.")
    ] = None,
    gateway: Gateway = None,
    json: Json = False,
) -> None:
    """Launch a copy of a run, with the changes in a file."""
    changes = read_config(config) if config else {}
    _control(gateway, json, lambda client: client.runs.clone(run, changes), "is queued")


@app.command()
def remove(run: RunId, gateway: Gateway = None) -> None:
    """Delete a draft."""
    with SlmClient(gateway) as client:
        client.runs.remove(run)


@app.command()
def priority(
    run: RunId,
    value: Annotated[int, typer.Argument(min=-100, max=100, help="Runs with a higher priority start first.")],
    gateway: Gateway = None,
    json: Json = False,
) -> None:
    """Set the priority of a queued run."""
    _control(gateway, json, lambda client: client.runs.set_priority(run, value), f"has priority {value}")


@app.command()
def schema(gateway: Gateway = None) -> None:
    """Print the JSON Schema of a configuration file."""
    with SlmClient(gateway) as client:
        print_json(client.runs.schema())


@app.command("launch-plan")
def launch_plan(
    plan: Annotated[str, typer.Argument(metavar="PLAN", help="Id of the plan.")],
    gateway: Gateway = None,
    json: Json = False,
) -> None:
    """Launch the run that a plan describes."""
    _control(gateway, json, lambda client: client.runs.launch_plan(plan), "is queued")


def _control(gateway: str | None, json: bool, act: Callable[[SlmClient], Run], what: str) -> None:
    """Do something with a run, and print that the run `what`."""
    with SlmClient(gateway) as client:
        found = act(client)
    print_done(f"Run {found.name} ({found.id}) {what}; it is {found.state} now.", found, json=json)


def print_plan(plan: Plan) -> None:
    """Print what a preflight found."""
    report = plan.report or {}
    tokens, memory, duration = (report.get(name) or {} for name in ("tokens", "memory_gb", "duration_s"))
    chosen = ", ".join(f"{name}={each['value']}" for name, each in (report.get("chosen") or {}).items())
    print_facts(
        [
            ("Plan", plan.id),
            ("Status", plan.status),
            ("Error", describe(plan.error) if plan.error else None),
            ("Rows kept", tokens.get("kept_rows")),
            ("Rows cut / left out", f"{tokens['truncated_rows']} / {tokens['dropped_rows']}" if tokens else None),
            ("Trained tokens per epoch", tokens.get("trained_tokens")),
            ("Steps", report.get("total_steps")),
            ("Memory, GB", f"{memory['low']} to {memory['high']}, {memory['available']} available" if memory else None),
            ("Duration, s", f"{duration['low']} to {duration['high']}" if duration else None),
            ("Chosen", chosen or None),
            ("Waits for", plan.queue and plan.queue.reason),
            *(("Warning", each) for each in report.get("warnings", ())),
        ]
    )


def print_run(run: Run) -> None:
    """Print one run."""
    config = ", ".join(f"{name}={value}" for name, value in run.config.items())
    print_facts(
        [
            ("Name", run.name),
            ("Id", run.id),
            ("Experiment", run.experiment_id),
            ("State", run.state),
            ("Queue", f"{run.queue.position}: {run.queue.reason}" if run.queue else None),
            ("Goal", run.goal),
            ("Tags", ", ".join(run.tags) or None),
            ("Error", describe(run.error) if run.error else None),
            ("Base model", run.base_model and run.base_model.name),
            ("Training dataset", run.training_dataset and run.training_dataset.name),
            ("Evaluation dataset", run.evaluation_dataset and run.evaluation_dataset.name),
            ("Settings", config or None),
            ("Created", moment(run.created_at)),
        ]
    )
