"""Options that many commands share, and the client for commands that run for long."""

import time
from typing import Annotated

import typer

from slm_client.cli.terminal import errors
from slm_client.retrying import RetryPolicy
from slm_client.synchronous import SlmClient
from slm_client.wire import DEFAULT_GATEWAY, GATEWAY_VARIABLE

Gateway = Annotated[
    str | None,
    typer.Option(
        "--gateway", envvar=GATEWAY_VARIABLE, metavar="URL", help=f"Address of the platform ({DEFAULT_GATEWAY})."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=100, help="Maximum number of items.")]
Cursor = Annotated[str | None, typer.Option("--cursor", help="Continue a list: the next_cursor of the previous page.")]
Search = Annotated[str | None, typer.Option("--search", "-q", help="Only those whose name contains this.")]
Status = Annotated[
    str | None, typer.Option(help="Only those with this status: queued, running, completed, failed or cancelled.")
]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Show progress until it is done.")]

PATIENT_ATTEMPTS = 60
TELL_AGAIN_AFTER_S = 30.0


def patient_client(gateway: str | None) -> SlmClient:
    """A client for commands that run for long: it tolerates two minutes without an answer, except at the start."""
    with SlmClient(gateway) as probe:
        probe.overview()
    return SlmClient(gateway, retry=RetryPolicy(attempts=PATIENT_ATTEMPTS, max_delay_s=2.0, on_delay=_Waiting()))


class _Waiting:
    """Reports on standard error that the platform does not answer, at most every 30 seconds."""

    def __init__(self) -> None:
        self._told_at = -TELL_AGAIN_AFTER_S

    def __call__(self) -> None:
        if time.monotonic() - self._told_at >= TELL_AGAIN_AFTER_S:
            self._told_at = time.monotonic()
            errors.print("The platform does not answer; trying again.", markup=False)
