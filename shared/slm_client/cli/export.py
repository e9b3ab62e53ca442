"""`slm export …`."""

from pathlib import Path
from typing import Annotated

import typer

from slm_client.cli.commands import Commands
from slm_client.cli.terminal import errors, print_sentence
from slm_client.export import export_artifacts
from slm_client.synchronous import SlmClient

app = Commands(help="Export datasets, models and evaluations as plain files.", rich_markup_mode=None)


@app.callback()
def export() -> None:
    """Export datasets, models and evaluations as plain files."""


@app.answering(lambda done: print_sentence(f"{done['files']} files in {done['path']}"))
def artifacts(
    client: SlmClient,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write to.")],
) -> dict[str, object]:
    """Write each dataset, model and evaluation into a folder named by its version."""
    written = export_artifacts(client, folder, on_written=lambda place: errors.print(f"  {place}", markup=False))
    return {"path": str(folder), "files": written}
