"""`slm datasets …`."""

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from slm_client.calls.base import ProgressCallback
from slm_client.calls.datasets import UploadOptions
from slm_client.cli import following
from slm_client.cli.commands import Commands
from slm_client.cli.failures import BadInputError
from slm_client.cli.options import Cursor, Gateway, Json, Limit, Search
from slm_client.cli.progress import Stages
from slm_client.cli.terminal import Columns, errors, moment, print_facts, print_json, print_sentence, print_table, size
from slm_client.errors import SlmError, UnreachableError
from slm_client.models import Dataset, Page, Preview, UploadState
from slm_client.synchronous import SlmClient
from slm_client.upload_parts import PARTS_FROM_BYTES, sha256_of

app = Commands(help="Upload, inspect and prepare datasets.", rich_markup_mode=None)

FILE_HELP = "CSV, TSV, JSON, JSONL, Parquet, plain text, or a zip of images; text forms also as .gz or .zst."
Reference = Annotated[
    str, typer.Argument(metavar="DATASET", help="Id, name (commands-v1) or family (its latest version).")
]


class Usage(StrEnum):
    """What a dataset is used for; rows are selected from a corpus."""

    TRAINING = "training"
    EVALUATION = "evaluation"
    CORPUS = "corpus"


class OnBadRows(StrEnum):
    """What happens to a file with bad rows."""

    FAIL = "fail"
    SKIP = "skip"


class SampleBy(StrEnum):
    """What counts as one row of a plain text file."""

    LINE = "line"
    PARAGRAPH = "paragraph"
    DOCUMENT = "document"


COLUMNS: Columns[Dataset] = [
    ("NAME", lambda each: each.name),
    ("USAGE", lambda each: each.usage),
    ("STATUS", lambda each: each.status),
    ("ROWS", lambda each: each.rows),
    ("FORMAT", lambda each: each.row_format or each.format),
    ("SIZE", lambda each: size(each.size_bytes)),
    ("CREATED", lambda each: moment(each.created_at)),
]
Mapping = Annotated[
    list[str] | None,
    typer.Option("--map", metavar="FIELD=COLUMN", help="Column that holds a field, e.g. prompt=question."),
]


class FileFormat(StrEnum):
    """The format of a download; raw is the file as it was uploaded."""

    RAW = "raw"
    PARQUET = "parquet"
    JSONL = "jsonl"
    CSV = "csv"


def _print_rows(found: Preview) -> None:
    names = dict.fromkeys(name for row in found.rows for name in row)
    print_table(found.rows, [(name, partial(_field, name)) for name in names])


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
            ("Cannot be trained", dataset.untrainable_because),
            ("Rows left out", dataset.skipped_rows or None),
            ("Made from", ", ".join(parent.name for parent in dataset.parents) or None),
            ("File", f"{dataset.format}, {size(dataset.size_bytes)}"),
            ("SHA-256", dataset.sha256),
            ("Created", moment(dataset.created_at)),
        ]
    )


@app.answering(_print_dataset)
def upload(
    client: SlmClient,
    path: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help=FILE_HELP)],
    usage: Annotated[Usage, typer.Option(help="What the dataset is used for.")] = Usage.TRAINING,
    name: Annotated[str | None, typer.Option(help="Dataset family (default: the file name).")] = None,
    description: Annotated[str | None, typer.Option(help="Text that describes the dataset.")] = None,
    prompt_column: Annotated[str | None, typer.Option(help="Column with the prompts.")] = None,
    completion_column: Annotated[str | None, typer.Option(help="Column with the completions.")] = None,
    mapping: Mapping = None,
    on_bad_rows: Annotated[
        OnBadRows, typer.Option(help="Reject a file with bad rows, or skip the rows.")
    ] = OnBadRows.FAIL,
    sample_by: Annotated[SampleBy, typer.Option(help="What counts as one row of plain text.")] = SampleBy.LINE,
    resume: Annotated[str | None, typer.Option(help="Continue this upload, by its id.")] = None,
    wait: Annotated[bool, typer.Option(help="Wait until the dataset is processed.")] = True,
) -> Dataset:
    """Upload a file as a new dataset version and wait until it is processed. Large files are sent in parts."""
    options = UploadOptions(
        usage=usage,
        name=name,
        description=description,
        prompt_column=prompt_column,
        completion_column=completion_column,
        mapping=mapping_of(mapping),
        on_bad_rows=on_bad_rows if on_bad_rows is not OnBadRows.FAIL else None,
        sample_by=sample_by if sample_by is not SampleBy.LINE else None,
    )
    with Stages() as stages:
        dataset = upload_file(client, stages, path, options, resume=resume)
        return following.follow_processing(client, stages, dataset) if wait else dataset


def mapping_of(given: list[str] | None) -> dict[str, str]:
    """`["prompt=question"]` as a mapping. Raises BadInputError if one is not FIELD=COLUMN."""
    pairs = [each.partition("=") for each in given or []]
    if any(not field or not column for field, _, column in pairs):
        raise BadInputError("--map takes FIELD=COLUMN.", hint="e.g. --map prompt=question --map completion=answer")
    return {field: column for field, _, column in pairs}


def upload_file(
    client: SlmClient, stages: Stages, path: Path, options: UploadOptions, *, resume: str | None = None
) -> Dataset:
    """Upload a file, showing bytes, rate and remaining time."""
    total = path.stat().st_size
    stage = stages.stage("Upload")

    def advance(count: int) -> None:
        stage.advance_bytes(count, total=total)

    if resume is None and total < PARTS_FROM_BYTES:
        dataset = client.datasets.upload(path, options, on_progress=advance)
    else:
        dataset = _upload_in_parts(client, path, options, resume=resume, on_progress=advance)
    stage.done(f"{dataset.name}, {size(total)}")
    return dataset


def uploaded_or_found(client: SlmClient, stages: Stages, path: Path, options: UploadOptions) -> Dataset:
    """A new version of a dataset, or the version that the same file made before."""
    try:
        return upload_file(client, stages, path, options)
    except SlmError as error:
        if error.code != "identical_content":
            raise
    found = client.datasets.list(sha256=sha256_of(path), q=options.name or path.stem, limit=1).items
    if not found:
        found = client.datasets.list(sha256=sha256_of(path), limit=1).items
    stages.stage("Already uploaded").done(found[0].name)
    return found[0]


def _upload_in_parts(
    client: SlmClient, path: Path, options: UploadOptions, *, resume: str | None, on_progress: ProgressCallback
) -> Dataset:
    begun: list[UploadState] = []
    try:
        return client.datasets.upload_in_parts(
            path, options, resume=resume, on_begin=begun.append, on_progress=on_progress
        )
    except (KeyboardInterrupt, UnreachableError):
        if begun:
            again = f"slm datasets upload {path} --resume {begun[0].id}"
            errors.print(f"The parts sent so far are kept for a day. Continue with: {again}", markup=False)
        raise


@app.answering(lambda found: print_table(found.items, COLUMNS), "list")
def list_datasets(
    client: SlmClient,
    usage: Annotated[Usage | None, typer.Option(help="Only those with this usage.")] = None,
    status: Annotated[
        str | None, typer.Option(help="Only those with this status: in_progress, processed or error.")
    ] = None,
    q: Search = None,
    sort: Annotated[
        str | None, typer.Option(help="created_at, name, rows or size_bytes; -rows sorts descending.")
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[Dataset]:
    """List datasets, by default the newest first."""
    return client.datasets.list(usage=usage, status=status, q=q, sort=sort, limit=limit, cursor=cursor)


@app.answering(_print_dataset)
def show(client: SlmClient, dataset: Reference) -> Dataset:
    """Show one dataset version."""
    return client.datasets.get(dataset)


@app.answering(_print_rows)
def preview(
    client: SlmClient,
    dataset: Reference,
    limit: Limit = 10,
    offset: Annotated[int, typer.Option(min=0, help="Number of rows to skip.")] = 0,
) -> Preview:
    """Show the first rows of a dataset."""
    return client.datasets.preview(dataset, offset=offset, limit=limit)


@app.answering(lambda saved: print_sentence(saved["path"]))
def download(
    client: SlmClient,
    dataset: Reference,
    to: Annotated[Path | None, typer.Option("--to", "-o", help="File to write.")] = None,
    file_format: Annotated[FileFormat, typer.Option("--format", help="Format of the file.")] = FileFormat.RAW,
) -> dict[str, object]:
    """Save a dataset as a file."""
    with Stages() as stages:
        found = client.datasets.get(dataset)
        target = to or Path(found.name + (_suffix_of(found) if file_format is FileFormat.RAW else f".{file_format}"))
        stage = stages.stage("Download")
        total = found.size_bytes or 1
        written = client.datasets.download(
            found.id,
            target,
            file_format=file_format,
            on_progress=lambda count: stage.advance_bytes(count, total=total),
        )
        stage.done(f"{target}, {size(written)}")
    return {"path": str(target), "size_bytes": written}


@app.command()
def delete(
    dataset: Reference,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Delete without asking.")] = False,
    gateway: Gateway = None,
    json: Json = False,
) -> None:
    """Delete one dataset version; models made of it keep their record."""
    with SlmClient(gateway) as client:
        found = client.datasets.get(dataset)
        if not yes and not json:
            typer.confirm(f"Delete {found.name} ({found.rows} rows)?", abort=True, err=True)
        client.datasets.delete(found.id)
    done = {"id": found.id, "name": found.name, "deleted": True}
    print_json(done) if json else print_sentence(f"Deleted {found.name}.")


def _suffix_of(dataset: Dataset) -> str:
    """The suffixes of the file as it was uploaded."""
    name = Path(dataset.file_name or f"x.{dataset.format}")
    return "".join(name.suffixes[-2:]) if dataset.compression else name.suffix
