"""`slm export …`."""

from pathlib import Path
from typing import Annotated

import typer

from slm_client.cli.options import Gateway, Json
from slm_client.cli.terminal import errors, output, print_json
from slm_client.export import export_artifacts
from slm_client.synchronous import SlmClient

app = typer.Typer(help="Write what the platform holds as plain files.", rich_markup_mode=None)


@app.callback()
def export() -> None:
    """Write what the platform holds as plain files."""


@app.command()
def artifacts(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write.")],
    gateway: Gateway = None,
    json: Json = False,
) -> None:
    """Write datasets, models and evaluations, each in a folder named by its version."""
    with SlmClient(gateway) as client:
        written = export_artifacts(client, folder, on_written=lambda place: errors.print(f"  {place}", markup=False))
    if json:
        print_json({"path": str(folder), "files": written})
    else:
        output.print(f"{written} files below {folder}", markup=False)
