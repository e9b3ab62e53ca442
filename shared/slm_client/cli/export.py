"""`slm export …`."""

from pathlib import Path
from typing import Annotated

import typer

from slm_client.cli.options import Gateway, Json
from slm_client.cli.terminal import errors, print_done
from slm_client.export import export_artifacts
from slm_client.synchronous import SlmClient

app = typer.Typer(help="Export datasets, models and evaluations as plain files.", rich_markup_mode=None)


@app.callback()
def export() -> None:
    """Export datasets, models and evaluations as plain files."""


@app.command()
def artifacts(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write to.")],
    gateway: Gateway = None,
    json: Json = False,
) -> None:
    """Write each dataset, model and evaluation into a folder named by its version."""
    with SlmClient(gateway) as client:
        written = export_artifacts(client, folder, on_written=lambda place: errors.print(f"  {place}", markup=False))
    print_done(f"{written} files in {folder}", {"path": str(folder), "files": written}, json=json)
