"""Datasets: upload, list, show, retry, split and delete."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Query, Request
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import JSONResponse

from slm_datasets.api.form import read_form
from slm_datasets.domain.keys import raw_key
from slm_datasets.domain.states import DatasetStatus
from slm_datasets.schemas import Dataset, Origin, Problems, ReadingFields, Split, SplitRequest
from slm_datasets.service import reading, uploading, versions
from slm_datasets.settings import DatasetsSettings
from slm_datasets.store import datasets as store
from slm_datasets.store.pages import Sort, next_cursor
from slm_shared.errors import PlatformError, UnavailableError
from slm_shared.events.catalogue import Usage
from slm_shared.http.access import Member, Viewer
from slm_shared.http.idempotency import REPLAYED, Idempotency
from slm_shared.http.paging import Page, PageQuery
from slm_shared.http.provided import given
from slm_shared.http.routing import Objects, ReadSession, WriteSession, router
from slm_shared.storage.database import Database
from slm_shared.storage.ids import new_id
from slm_shared.storage.multipart import ObjectWriter
from slm_shared.storage.objects import ObjectStore

routes = router(tags=["datasets"])

ShownStatus = Literal["in_progress", "processed", "error"]
DataType = Literal["text", "images", "tabular"]
RowFormatName = Literal["messages", "prompt/completion", "text", "chosen/rejected", "columns", "images"]
Text = Annotated[str | None, Query(max_length=200)]
FILE = "CSV, TSV, JSON, JSONL, Parquet, plain text, or a zip of images; text forms also as .gz or .zst."
FIELDS: dict[str, Any] = {
    "file": {"type": "string", "format": "binary", "description": FILE},
    "name": {"type": "string", "description": "The family; the file's own name by default."},
    "usage": {"type": "string", "enum": ["training", "evaluation", "corpus"], "default": "training"},
    "description": {"type": "string"},
    "origin": {"type": "string", "enum": ["uploaded", "distilled", "synthetic", "imported"], "default": "uploaded"},
    "parents": {"type": "string", "description": "Datasets the rows were made from, separated by commas."},
    "prompt_column": {"type": "string", "description": "The column to be asked."},
    "completion_column": {"type": "string", "description": "The column to be answered."},
    "mapping": {
        "type": "string",
        "description": 'JSON, field to column: {"prompt": "question", "completion": "answer"}.',
    },
    "on_bad_rows": {"type": "string", "enum": ["fail", "skip"], "default": "fail"},
    "delimiter": {"type": "string", "description": "Of a CSV file; detected by default."},
    "has_header": {"type": "boolean", "description": "Whether a CSV file names its columns; detected by default."},
    "sample_by": {"type": "string", "enum": ["line", "paragraph", "document"], "default": "line"},
}
FORM: dict[str, Any] = {
    "required": True,
    "content": {"multipart/form-data": {"schema": {"type": "object", "required": ["file"], "properties": FIELDS}}},
}


@routes.post("/api/datasets", status_code=202, response_model=Dataset, openapi_extra={"requestBody": FORM})
@routes.post("/api/datasets/upload", status_code=202, response_model=Dataset, include_in_schema=False)
async def upload_dataset(request: Request, principal: Member, objects: Objects, once: Idempotency) -> JSONResponse:
    """Upload a file as the next version of a dataset; it is processed after the answer.

    The file goes to the object store as it arrives, and nothing refers to it before it is complete.
    """
    dataset_id, app = new_id(), request.app
    head = b""
    async with ObjectWriter(objects, raw_key(dataset_id)) as writer:

        async def keep(piece: bytes) -> None:
            nonlocal head
            head += piece[: uploading.HEAD_BYTES - len(head)]
            await writer.write(piece)

        form = await read_form(request, max_bytes=given(app, DatasetsSettings).max_upload_bytes, sink=keep)
        fields = form.fields()
        uploaded = uploading.described(
            form.file_name or "", size_bytes=writer.size_bytes, sha256=writer.sha256, head=head
        )
        canonical = f"{fields.model_dump_json()}\n{uploaded.file_name}\n{uploaded.sha256}"
        if (stored := await once.stored(of=canonical)) is not None:
            return stored
        database = given(app, Database)
        async with database.read() as session:
            await uploading.refuse_identical(session, fields, uploaded)
        await writer.close()

    async def work(session: AsyncSession) -> Dataset:
        made = await uploading.add_dataset(session, dataset_id, fields, uploaded, owner=principal.subject)
        return Dataset.of(made)

    return await _with_its_file(once, work, of=canonical, objects=objects, dataset_id=dataset_id)


async def _with_its_file(
    once: Idempotency,
    work: Callable[[AsyncSession], Awaitable[Dataset]],
    *,
    of: str,
    objects: ObjectStore,
    dataset_id: UUID,
) -> JSONResponse:
    """Add the dataset; its file, which is stored already, stays only where it may have been added."""
    try:
        answer = await once(work, of=of, status=202, location=lambda dataset: f"/api/datasets/{dataset.id}")
    except PlatformError as error:
        # Refused for certain. Of a database that fell silent nobody knows whether it kept the dataset.
        if not isinstance(error, UnavailableError):
            await objects.remove(raw_key(dataset_id))
        raise
    if REPLAYED in answer.headers:
        await objects.remove(raw_key(dataset_id))
    return answer


@routes.get("/api/datasets")
async def list_datasets(
    _: Viewer,
    session: ReadSession,
    query: PageQuery,
    sort: Annotated[Sort, Query(description="A leading - means falling.")] = "-created_at",
    usage: Annotated[Usage | None, Query()] = None,
    status: Annotated[ShownStatus | None, Query()] = None,
    data_type: Annotated[DataType | None, Query()] = None,
    row_format: Annotated[RowFormatName | None, Query()] = None,
    origin: Annotated[Origin | None, Query()] = None,
    owner: Text = None,
    family: Text = None,
    sha256: Text = None,
    q: Annotated[str | None, Query(max_length=100, description="Part of the name.")] = None,
) -> Page[Dataset]:
    """Datasets, newest first unless sorted otherwise."""
    filters = {
        "usage": usage,
        "status": DatasetStatus(status) if status else None,
        "data_type": data_type,
        "row_format": row_format,
        "origin": origin,
        "owner": owner,
        "family": family,
        "sha256": sha256,
    }
    found = await store.list_datasets(session, query, sort=sort, q=q, filters=filters)
    shown = [Dataset.of(row) for row in found[: query.limit]]
    return Page[Dataset](items=shown, next_cursor=next_cursor(found, query, sort))


@routes.get("/api/datasets/{reference}")
async def get_dataset(reference: str, _: Viewer, session: ReadSession) -> Dataset:
    """One dataset, by id, `<family>-v<n>`, or family (its latest version)."""
    return Dataset.of(await reading.get_dataset(session, reference))


@routes.get("/api/datasets/{reference}/problems")
async def get_problems(reference: str, _: Viewer, session: ReadSession) -> Problems:
    """What is wrong with the file of a dataset: the first hundred problems with their places, and counts of all."""
    dataset = await reading.get_dataset(session, reference, with_details=True)
    return Problems.model_validate({**(dataset.problems or {}), "skipped_rows": dataset.skipped_rows})


@routes.post("/api/datasets/{reference}:retry", status_code=202)
async def retry_dataset(reference: str, fields: ReadingFields, principal: Member, session: WriteSession) -> Dataset:
    """Process a dataset in error again without uploading it again, read as the body says."""
    return Dataset.of(await versions.retry_dataset(session, reference, fields, actor=principal.subject))


@routes.post("/api/datasets/{reference}:split", status_code=202, response_model=Split)
async def split_dataset(reference: str, body: SplitRequest, principal: Member, once: Idempotency) -> JSONResponse:
    """Split a dataset in two new ones, always alike for a seed and a fraction; equal rows stay on one side."""

    async def work(session: AsyncSession) -> Split:
        train, validation = await versions.split_dataset(session, reference, body, actor=principal.subject)
        return Split(train=Dataset.of(train), validation=Dataset.of(validation))

    return await once(work, of=body.model_dump_json(), status=202)


@routes.delete("/api/datasets/{reference}", status_code=204)
async def delete_dataset(reference: str, principal: Member, session: WriteSession) -> None:
    """Take a dataset away from new work; its files are removed a little later, its record stays for lineage."""
    await versions.delete_dataset(session, reference, actor=principal.subject)
