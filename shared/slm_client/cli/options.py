"""Options that many commands share, and the client they ask for."""

from typing import Annotated

import typer

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

PATIENCE = RetryPolicy(attempts=60, max_delay_s=2.0)
"""For commands that stay for long: rides out about two minutes without the platform."""


def patient_client(gateway: str | None) -> SlmClient:
    """A client that rides out an outage, once the platform was reached at all."""
    with SlmClient(gateway) as probe:
        probe.overview()
    return SlmClient(gateway, retry=PATIENCE)
