"""The root of the command, and the one place where every error becomes a line and an exit code."""

import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated

import typer

from slm_client.cli import (
    dataset_reports,
    demo,
    evaluations,
    experiments,
    export,
    lineage,
    local,
    platform,
    runs,
    training,
)
from slm_client.cli.failures import INTERRUPTED, OK, FailedJobError, exit_code_of, tell
from slm_client.errors import SlmError
from slm_client.wire import GATEWAY_VARIABLE

app = typer.Typer(
    name="slm",
    help="Turn data into small language models.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(dataset_reports.app, name="datasets")
app.add_typer(runs.app, name="runs")
app.add_typer(experiments.app, name="experiments")
app.add_typer(lineage.app, name="models")
app.add_typer(evaluations.app, name="evaluations")
app.add_typer(export.app, name="export")
app.command("up", context_settings=local.PASSED_ON)(local.up)
app.command("status", context_settings=local.PASSED_ON)(local.status)
app.command("down", context_settings=local.PASSED_ON)(local.down)
app.command("train")(training.train)
app.command("demo")(demo.demo)
# Without a name: its commands are commands of `slm` itself.
app.add_typer(platform.app)


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    gateway: Annotated[
        str | None,
        typer.Option("--gateway", metavar="URL", help="Address of the platform; may also follow the command."),
    ] = None,
    show_version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Turn data into small language models: upload a dataset, train, inspect the model and its scores."""
    if gateway:
        # Commands read the address from there, unless they have their own --gateway.
        os.environ[GATEWAY_VARIABLE] = gateway
    if show_version:
        typer.echo(version("slm-platform"))
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main() -> None:
    """The entry point of the `slm` command."""
    code = run(sys.argv[1:])
    _flush_quietly()
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; never lets an exception through."""
    try:
        outcome = app(list(arguments), prog_name="slm", standalone_mode=False)
        return outcome if isinstance(outcome, int) else OK
    except (typer.TyperException, SlmError, FailedJobError, OSError) as error:
        tell(error)
        return exit_code_of(error)
    except (typer.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except Exception as error:
        if os.environ.get("SLM_DEBUG"):
            raise
        tell(error)
        return exit_code_of(error)


def _flush_quietly() -> None:
    """Flush the output; a reader that has left (`slm … | head`) is no error."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
