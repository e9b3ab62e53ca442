"""Options that many commands share, and the client they ask for."""

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
Limit = Annotated[int, typer.Option("--limit", min=1, max=100, help="At most so many.")]
Cursor = Annotated[str | None, typer.Option("--cursor", help="Continue a list: next_cursor of the page before.")]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Stay and show progress until it is done.")]

PATIENT_ATTEMPTS = 60
TELL_AGAIN_AFTER_S = 30.0


def patient_client(gateway: str | None) -> SlmClient:
    """A client for commands that stay for long: once the platform was reached, rides out two minutes without it."""
    with SlmClient(gateway) as probe:
        probe.overview()
    return SlmClient(gateway, retry=RetryPolicy(attempts=PATIENT_ATTEMPTS, max_delay_s=2.0, on_delay=_Waiting()))


class _Waiting:
    """Says on standard error that the platform is away, now and then."""

    def __init__(self) -> None:
        self._told_at = -TELL_AGAIN_AFTER_S

    def __call__(self) -> None:
        if time.monotonic() - self._told_at >= TELL_AGAIN_AFTER_S:
            self._told_at = time.monotonic()
            errors.print("The platform does not answer; trying again.", markup=False)
