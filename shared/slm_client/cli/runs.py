"""`slm runs …`."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from slm_client.cli.commands import Commands
from slm_client.cli.following import describe
from slm_client.cli.options import Cursor, Gateway, Limit, Search, Status
from slm_client.cli.terminal import Columns, moment, print_facts, print_json, print_sentence, print_table
from slm_client.config_file import read_config
from slm_client.models import Page, Plan, Run
from slm_client.synchronous import SlmClient

app = Commands(help="List, inspect and control runs.", rich_markup_mode=None)

RunId = Annotated[str, typer.Argument(metavar="RUN", help="Id of the run.")]


COLUMNS: Columns[Run] = [
    ("ID", lambda each: each.id),
    ("NAME", lambda each: each.name),
    ("STATE", lambda each: each.state),
    ("BASE", lambda each: each.base_model and each.base_model.name),
    ("DATASET", lambda each: each.training_dataset and each.training_dataset.name),
    ("CREATED", lambda each: moment(each.created_at)),
]


def _told(what: str) -> Callable[[Run], None]:
    """Print what happened to a run; `what` may have fields of the run, e.g. `{run.priority}`."""
    return lambda run: print_sentence(f"Run {run.name} ({run.id}) {what.format(run=run)}; it is {run.state} now.")


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


@app.answering(lambda found: print_table(found.items, COLUMNS), "list")
def list_runs(
    client: SlmClient, status: Status = None, q: Search = None, limit: Limit = 50, cursor: Cursor = None
) -> Page[Run]:
    """List runs, newest first."""
    return client.runs.list(status=status, q=q, limit=limit, cursor=cursor)


@app.answering(print_run)
def show(client: SlmClient, run: RunId) -> Run:
    """Show one run."""
    return client.runs.get(run)


@app.answering(_told("is being cancelled"))
def cancel(client: SlmClient, run: RunId) -> Run:
    """Cancel a run; its trainer stops within seconds."""
    return client.runs.cancel(run)


@app.answering(_told("is queued"))
def start(client: SlmClient, run: RunId) -> Run:
    """Start a draft."""
    return client.runs.start(run)


@app.answering(_told("is being paused"))
def pause(client: SlmClient, run: RunId) -> Run:
    """Pause a run at a checkpoint, to resume it later."""
    return client.runs.pause(run)


@app.answering(_told("is queued"))
def resume(client: SlmClient, run: RunId) -> Run:
    """Resume a paused run from its newest checkpoint."""
    return client.runs.resume(run)


@app.answering(_told("is queued"))
def reproduce(client: SlmClient, run: RunId) -> Run:
    """Run exactly the same again; `slm experiments drift` shows what differs."""
    return client.runs.reproduce(run)


@app.answering(_told("is queued"))
def clone(
    client: SlmClient,
    run: RunId,
    config: Annotated[
        Path | None, typer.Argument(exists=True, dir_okay=False, help="YAML file with changed settings.")
    ] = None,
) -> Run:
    """Launch a copy of a run, with the changes in a file."""
    return client.runs.clone(run, read_config(config) if config else {})


@app.command()
def remove(run: RunId, gateway: Gateway = None) -> None:
    """Delete a draft."""
    with SlmClient(gateway) as client:
        client.runs.remove(run)


@app.answering(_told("has priority {run.priority}"))
def priority(
    client: SlmClient,
    run: RunId,
    value: Annotated[int, typer.Argument(min=-100, max=100, help="Runs with a higher priority start first.")],
) -> Run:
    """Set the priority of a queued run."""
    return client.runs.set_priority(run, value)


@app.command()
def schema(gateway: Gateway = None) -> None:
    """Print the JSON Schema of a configuration file."""
    with SlmClient(gateway) as client:
        print_json(client.runs.schema())


@app.answering(_told("is queued"), "launch-plan")
def launch_plan(client: SlmClient, plan: Annotated[str, typer.Argument(metavar="PLAN", help="Id of the plan.")]) -> Run:
    """Launch the run that a plan describes."""
    return client.runs.launch_plan(plan)
