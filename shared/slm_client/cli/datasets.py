"""`slm datasets …`."""

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from slm_client.cli import following
from slm_client.cli.options import Cursor, Gateway, Json, Limit
from slm_client.cli.progress import Stages
from slm_client.cli.terminal import moment, output, print_facts, print_json, print_table, size
from slm_client.models import Dataset
from slm_client.synchronous import SlmClient

app = typer.Typer(help="Upload and look at datasets.", rich_markup_mode=None)

Reference = Annotated[str, typer.Argument(metavar="DATASET", help="Id, name such as commands-v1, or family.")]


class Usage(StrEnum):
    """What a dataset is for."""

    TRAINING = "training"
    EVALUATION = "evaluation"


class FileFormat(StrEnum):
    """In which form a dataset is downloaded; raw is the file as it was uploaded."""

    RAW = "raw"
    PARQUET = "parquet"
    JSONL = "jsonl"
    CSV = "csv"


@app.command()
def upload(
    path: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A CSV, JSON, JSONL or Parquet file.")],
    usage: Annotated[Usage, typer.Option(help="What it is for.")] = Usage.TRAINING,
    name: Annotated[str | None, typer.Option(help="Its family; the file's name if not given.")] = None,
    description: Annotated[str | None, typer.Option(help="What it holds.")] = None,
    prompt_column: Annotated[str | None, typer.Option(help="The column that asks.")] = None,
    completion_column: Annotated[str | None, typer.Option(help="The column that answers.")] = None,
    wait: Annotated[bool, typer.Option(help="Wait until it is processed.")] = True,
    gateway: Gateway = None,
    json: Json = False,
) -> None:
    """Upload a file as a new dataset version and wait until it is ready."""
    with SlmClient(gateway) as client, Stages() as stages:
        dataset = upload_file(
            client,
            stages,
            path,
            usage=usage,
            name=name,
            description=description,
            prompt_column=prompt_column,
            completion_column=completion_column,
        )
        if wait:
            dataset = following.follow_processing(client, stages, dataset)
    print_json(dataset) if json else _print_dataset(dataset)


def upload_file(
    client: SlmClient,
    stages: Stages,
    path: Path,
    *,
    usage: str,
    name: str | None = None,
    description: str | None = None,
    prompt_column: str | None = None,
    completion_column: str | None = None,
) -> Dataset:
    """Upload with a bar of bytes, rate and time to go."""
    total = path.stat().st_size
    stage = stages.stage("Upload")
    dataset = client.datasets.upload(
        path,
        usage=usage,
        name=name,
        description=description,
        prompt_column=prompt_column,
        completion_column=completion_column,
        on_progress=lambda count: stage.advance_bytes(count, total=total),
    )
    stage.done(f"{dataset.name}, {size(total)}")
    return dataset


@app.command("list")
def list_datasets(
    usage: Annotated[Usage | None, typer.Option(help="Only those for this.")] = None,
    status: Annotated[str | None, typer.Option(help="in_progress, processed or error.")] = None,
    q: Annotated[str | None, typer.Option("--search", "-q", help="Only those whose name contains this.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    gateway: Gateway = None,
    json: Json = False,
) -> None:
    """List datasets, newest first."""
    with SlmClient(gateway) as client:
        page = client.datasets.list(usage=usage, status=status, q=q, limit=limit, cursor=cursor)
    if json:
        print_json(page)
        return
    print_table(
        page.items,
        [
            ("NAME", lambda each: each.name),
            ("USAGE", lambda each: each.usage),
            ("STATUS", lambda each: each.status),
            ("ROWS", lambda each: each.rows),
            ("FORMAT", lambda each: each.row_format or each.format),
            ("SIZE", lambda each: size(each.size_bytes)),
            ("CREATED", lambda each: moment(each.created_at)),
        ],
    )


@app.command()
def show(dataset: Reference, gateway: Gateway = None, json: Json = False) -> None:
    """Show one dataset version."""
    with SlmClient(gateway) as client:
        found = client.datasets.get(dataset)
    print_json(found) if json else _print_dataset(found)


@app.command()
def preview(
    dataset: Reference,
    limit: Limit = 10,
    offset: Annotated[int, typer.Option(min=0, help="Skip so many rows.")] = 0,
    gateway: Gateway = None,
    json: Json = False,
) -> None:
    """Show the first rows of a dataset."""
    with SlmClient(gateway) as client:
        found = client.datasets.preview(dataset, offset=offset, limit=limit)
    if json:
        print_json(found)
        return
    names = list(dict.fromkeys(name for row in found.rows for name in row))
    print_table(found.rows, [(name, partial(_field, name)) for name in names])


@app.command()
def download(
    dataset: Reference,
    to: Annotated[Path | None, typer.Option("--to", "-o", help="Where to save it.")] = None,
    file_format: Annotated[FileFormat, typer.Option("--format", help="In which form.")] = FileFormat.RAW,
    gateway: Gateway = None,
    json: Json = False,
) -> None:
    """Save a dataset as a file."""
    with SlmClient(gateway) as client, Stages() as stages:
        found = client.datasets.get(dataset)
        suffix = found.format if file_format is FileFormat.RAW and found.format else str(file_format)
        target = to or Path(f"{found.name}.{suffix}")
        stage = stages.stage("Download")
        total = found.size_bytes or 1
        written = client.datasets.download(
            found.id,
            target,
            file_format=file_format,
            on_progress=lambda count: stage.advance_bytes(count, total=total),
        )
        stage.done(f"{target}, {size(written)}")
    if json:
        print_json({"path": str(target), "size_bytes": written})
    else:
        output.print(str(target), markup=False)


@app.command()
def delete(
    dataset: Reference,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    gateway: Gateway = None,
    json: Json = False,
) -> None:
    """Delete one dataset version; models made of it keep their record."""
    with SlmClient(gateway) as client:
        found = client.datasets.get(dataset)
        if not yes and not json:
            typer.confirm(f"Delete {found.name} ({found.rows} rows)?", abort=True, err=True)
        client.datasets.delete(found.id)
    if json:
        print_json({"id": found.id, "name": found.name, "deleted": True})
    else:
        output.print(f"Deleted {found.name}.", markup=False)


def _field(name: str, row: dict[str, Any]) -> object:
    return row.get(name)


def _print_dataset(dataset: Dataset) -> None:
    columns = ", ".join(f"{column.name} ({column.type})" for column in dataset.columns)
    mapping = ", ".join(f"{role} = {column}" for role, column in dataset.mapping.items())
    print_facts(
        [
            ("Name", dataset.name),
            ("Id", dataset.id),
            ("Usage", dataset.usage),
            ("Status", dataset.status),
            ("Error", following.describe(dataset.error) if dataset.error else None),
            ("Description", dataset.description),
            ("Rows", dataset.rows),
            ("Row format", dataset.row_format),
            ("Columns", columns or None),
            ("Read as", mapping or None),
            ("File", f"{dataset.format}, {size(dataset.size_bytes)}"),
            ("SHA-256", dataset.sha256),
            ("Created", moment(dataset.created_at)),
        ]
    )
