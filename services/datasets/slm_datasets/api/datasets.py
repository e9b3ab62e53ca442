"""Datasets: upload, list, show, retry, split and delete."""

from typing import Annotated, Any

from fastapi import Query, Request
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import JSONResponse

from slm_datasets.api.dependencies import Filters, Settings
from slm_datasets.schemas import Dataset, DatasetSort, Problems, ReadingFields, Split, SplitRequest, UploadFields
from slm_datasets.service import reading, uploading, versions
from slm_shared.errors import Hint
from slm_shared.http.access import Member, Viewer
from slm_shared.http.forms import read_form
from slm_shared.http.idempotency import Idempotency
from slm_shared.http.paging import Page, PageQuery
from slm_shared.http.routing import Objects, OpenRead, ReadSession, WriteSession, router

routes = router(tags=["datasets"])

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
async def upload_dataset(
    request: Request, principal: Member, objects: Objects, settings: Settings, read: OpenRead, once: Idempotency
) -> JSONResponse:
    """Upload a file as the next version of a dataset; it is processed after the answer.

    The file goes to the object store as it arrives, and nothing refers to it before it is complete.
    """
    async with uploading.receiving(objects, owner=principal.subject) as upload:
        limit = settings.max_upload_bytes
        form = await read_form(request, max_bytes=limit, sink=upload.write, hint=Hint.UPLOAD_IN_PARTS)
        canonical = upload.describe(form.checked(UploadFields), form.file_name or "")
        if (stored := await once.stored(of=canonical)) is not None:
            return stored
        async with read() as session:
            await upload.refuse_identical(session)
        await upload.close()
        return await once(upload.add, of=canonical, status=202, location=lambda made: f"/api/datasets/{made.id}")


@routes.get("/api/datasets")
async def list_datasets(
    _: Viewer,
    session: ReadSession,
    query: PageQuery,
    filters: Filters,
    sort: Annotated[DatasetSort, Query(description="A leading - means falling.")] = "-created_at",
) -> Page[Dataset]:
    """Datasets, newest first unless sorted otherwise."""
    return await reading.list_datasets(session, query, sort=sort, filters=filters)


@routes.get("/api/datasets/{reference}")
async def get_dataset(reference: str, _: Viewer, session: ReadSession) -> Dataset:
    """One dataset, by id, `<family>-v<n>`, or family (its latest version)."""
    return Dataset.of(await reading.get_dataset(session, reference))


@routes.get("/api/datasets/{reference}/problems")
async def get_problems(reference: str, _: Viewer, session: ReadSession) -> Problems:
    """What is wrong with the file of a dataset: the first hundred problems with their places, and counts of all."""
    return await reading.get_problems(session, reference)


@routes.post("/api/datasets/{reference}:retry", status_code=202)
async def retry_dataset(reference: str, fields: ReadingFields, principal: Member, session: WriteSession) -> Dataset:
    """Process a failed dataset again, with the reading options of the body; nothing is uploaded again."""
    return Dataset.of(await versions.retry_dataset(session, reference, fields, actor=principal.subject))


@routes.post("/api/datasets/{reference}:split", status_code=202, response_model=Split)
async def split_dataset(reference: str, body: SplitRequest, principal: Member, once: Idempotency) -> JSONResponse:
    """Split a dataset in two new ones, always alike for a seed and a fraction; equal rows stay on one side."""

    async def work(session: AsyncSession) -> Split:
        return await versions.split_dataset(session, reference, body, actor=principal.subject)

    return await once(work, of=body.model_dump_json(), status=202)


@routes.delete("/api/datasets/{reference}", status_code=204)
async def delete_dataset(reference: str, principal: Member, session: WriteSession) -> None:
    """Take a dataset away from new work; its files are removed a little later, its record stays for lineage."""
    await versions.delete_dataset(session, reference, actor=principal.subject)
