"""The HTTP side of the datasets service."""

from typing import Annotated, Any, Literal

from fastapi import Query, Request
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import JSONResponse, StreamingResponse

from slm_datasets import rows, service, store
from slm_datasets.domain import DatasetStatus
from slm_datasets.schemas import Dataset, Preview, Usage
from slm_datasets.uploads import Upload, read_upload
from slm_shared.access import Member, Viewer
from slm_shared.database import ANSWER_WITHIN_S, Database
from slm_shared.idempotency import Idempotency, Once
from slm_shared.ids import new_id
from slm_shared.objects import ObjectStore
from slm_shared.paging import Page, PageQuery, page_of
from slm_shared.web import Objects, OpenRead, ReadSession, router

routes = router(tags=["datasets"])

ShownStatus = Literal["in_progress", "processed", "error"]
MEDIA_TYPES = {"csv": "text/csv; charset=utf-8", "jsonl": "application/x-ndjson"}
FORM: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["file"],
                "properties": {
                    "file": {"type": "string", "format": "binary", "description": "CSV, JSON, JSONL or Parquet."},
                    "name": {"type": "string", "description": "The family; the file's own name by default."},
                    "usage": {"type": "string", "enum": ["training", "evaluation"], "default": "training"},
                    "description": {"type": "string"},
                    "prompt_column": {"type": "string", "description": "The column to be asked."},
                    "completion_column": {"type": "string", "description": "The column to be answered."},
                },
            }
        }
    },
}


@routes.post("/api/datasets", status_code=202, response_model=Dataset, openapi_extra={"requestBody": FORM})
@routes.post("/api/datasets/upload", status_code=202, response_model=Dataset, include_in_schema=False)
async def upload_dataset(request: Request, principal: Member, objects: Objects, once: Idempotency) -> JSONResponse:
    """Upload a file as the next version of a dataset; it is processed after the answer."""
    async with read_upload(request, max_bytes=request.app.state.settings.max_upload_bytes) as upload:
        return await _accept(upload, objects, once, owner=principal.subject)


async def _accept(upload: Upload, objects: ObjectStore, once: Once, *, owner: str) -> JSONResponse:
    """Store the file, then make the dataset: nothing refers to a file that is not there."""
    uploaded = await service.inspect(upload.file, upload.file_name)
    canonical = f"{upload.fields.model_dump_json()}\n{uploaded.file_name}\n{uploaded.sha256}"
    if (stored := await once.stored(of=canonical)) is not None:
        return stored
    dataset_id = new_id()
    await objects.put_stream(service.raw_key(dataset_id), upload.file, uploaded.size_bytes)

    async def work(session: AsyncSession) -> Dataset:
        made = await service.add_dataset(session, dataset_id, upload.fields, uploaded, owner=owner)
        return Dataset.of(made)

    return await once(work, of=canonical, status=202, location=lambda dataset: f"/api/datasets/{dataset.id}")


@routes.get("/api/datasets")
async def list_datasets(
    _: Viewer,
    session: ReadSession,
    query: PageQuery,
    usage: Annotated[Usage | None, Query()] = None,
    status: Annotated[ShownStatus | None, Query()] = None,
    q: Annotated[str | None, Query(max_length=100, description="Part of the name.")] = None,
) -> Page[Dataset]:
    """Datasets, newest first."""
    wanted = DatasetStatus(status) if status else None
    found = await store.list_datasets(session, query, usage=usage, status=wanted, q=q)
    return page_of(found, query, key=lambda row: (row.created_at, row.id), show=Dataset.of)


@routes.get("/api/datasets/{reference}")
async def get_dataset(reference: str, _: Viewer, session: ReadSession) -> Dataset:
    """One dataset, by id, `<family>-v<n>`, or family (its latest version)."""
    return Dataset.of(await service.get_dataset(session, reference))


@routes.get("/api/datasets/{reference}/preview")
async def preview_dataset(
    reference: str,
    _: Viewer,
    objects: Objects,
    read: OpenRead,
    offset: Annotated[int, Query(ge=0, lt=2**53)] = 0,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> Preview:
    """Some rows of a processed dataset."""
    async with read() as session:
        dataset = await service.get_processed(session, reference)
    items = await rows.read_page(objects, dataset.object_key or "", offset=offset, limit=limit)
    return Preview(items=items, offset=offset, total=dataset.rows or 0)


@routes.get("/api/datasets/{reference}/download", response_class=StreamingResponse)
async def download_dataset(
    reference: str,
    _: Viewer,
    objects: Objects,
    read: OpenRead,
    format: Annotated[Literal["raw", "parquet", "jsonl", "csv"], Query()] = "raw",
) -> StreamingResponse:
    """The file as it was uploaded, or its rows as Parquet, JSONL or CSV."""
    async with read() as session:
        find = service.get_dataset if format == "raw" else service.get_processed
        dataset = await find(session, reference)
    if format == "raw":
        key, suffix = service.raw_key(dataset.id), dataset.format
    else:
        key, suffix = dataset.object_key or "", format
    headers = {
        "Content-Disposition": f'attachment; filename="{dataset.name}.{suffix}"',
        "X-Content-Type-Options": "nosniff",
    }
    if format in MEDIA_TYPES:
        body = rows.stream_rows(objects, key, file_format=format)
        return StreamingResponse(body, media_type=MEDIA_TYPES[format], headers=headers)
    if format == "raw":
        headers["Content-Length"] = str(dataset.size_bytes)
    return StreamingResponse(objects.stream(key), media_type="application/octet-stream", headers=headers)


@routes.delete("/api/datasets/{reference}", status_code=204)
async def delete_dataset(reference: str, request: Request, principal: Member) -> None:
    """Take a dataset away from new work and remove its files."""
    database: Database = request.app.state.database
    async with database.transaction(within_s=ANSWER_WITHIN_S) as session:
        dataset_id = await service.delete_dataset(session, reference, actor=principal.subject)
    await request.app.state.objects.remove_prefix(f"datasets/{dataset_id}/")
