"""Uploads in parts: for files too big for one request, and for connections that break."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Header, Path, Request
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import JSONResponse

from slm_datasets.errors import FileTooLargeError
from slm_datasets.schemas import CompleteRequest, Dataset, UploadPart, UploadRequest, UploadState
from slm_datasets.service import upload_parts, uploading
from slm_datasets.service.upload_parts import PartedUploads
from slm_datasets.store import uploads as store
from slm_shared.errors import PlatformError
from slm_shared.http.access import Member
from slm_shared.http.idempotency import Idempotency
from slm_shared.http.provided import given
from slm_shared.http.routing import Objects, OpenRead, router
from slm_shared.storage.database import Database
from slm_shared.storage.ids import new_id

routes = router(tags=["datasets"])


async def _uploads(request: Request, _: Objects) -> upload_parts.PartedUploads:
    uploads = given(request.app, PartedUploads)
    return uploads


# With an object store that is known to answer.
Uploads = Annotated[upload_parts.PartedUploads, Depends(_uploads)]
Checksum = Annotated[str | None, Header(alias="X-Content-SHA256", pattern=r"^[0-9a-fA-F]{64}$")]


@routes.post("/api/datasets/uploads", status_code=201, response_model=UploadState)
async def begin_upload(body: UploadRequest, principal: Member, uploads: Uploads, once: Idempotency) -> JSONResponse:
    """Begin an upload in parts; the answer lists them. Nothing shows as a dataset before it is complete."""
    uploads.check(body)
    canonical = body.model_dump_json()
    if (stored := await once.stored(of=canonical)) is not None:
        return stored
    upload_id = new_id()
    multipart_id = await uploads.begin_object(upload_id)

    async def work(session: AsyncSession) -> UploadState:
        made = await uploads.begin(session, upload_id, body, multipart_id, owner=principal.subject)
        return uploads.fresh_state(made)

    return await once(work, of=canonical, location=lambda made: f"/api/datasets/uploads/{made.id}")


@routes.get("/api/datasets/uploads/{upload_id}")
async def get_upload(upload_id: UUID, principal: Member, uploads: Uploads, read: OpenRead) -> UploadState:
    """Which parts of an upload are stored, and where the others go."""
    async with read() as session:
        upload = await upload_parts.get_upload(session, upload_id, owner=principal.subject)
    return await uploads.state(upload)


@routes.put("/api/datasets/uploads/{upload_id}/parts/{number}")
async def put_part(
    upload_id: UUID,
    number: Annotated[int, Path(ge=1, le=upload_parts.MAX_PARTS)],
    request: Request,
    principal: Member,
    uploads: Uploads,
    read: OpenRead,
    checksum: Checksum = None,
) -> UploadPart:
    """Store one part, sent as the body of the request; sending it again replaces it."""
    async with read() as session:
        upload = await upload_parts.get_upload(session, upload_id, owner=principal.subject, status=store.OPEN)
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > upload.part_bytes:
            raise FileTooLargeError(f"A part of this upload has {upload.part_bytes} bytes at most.")
    return await uploads.put(upload, number, bytes(data), sha256=checksum)


@routes.post("/api/datasets/uploads/{upload_id}:complete", status_code=202, response_model=Dataset)
async def complete_upload(
    upload_id: UUID, body: CompleteRequest, request: Request, principal: Member, uploads: Uploads, once: Idempotency
) -> JSONResponse:
    """Put the parts together, check the whole, and make the next version of the dataset.

    Completing twice gives the same dataset. A file that is not the one announced ends the upload.
    """
    database = given(request.app, Database)
    async with database.read() as session:
        upload = await upload_parts.get_upload(session, upload_id, owner=principal.subject)
        made = await uploading.completed(session, upload_id)
    if made is not None:
        return JSONResponse(Dataset.of(made).model_dump(mode="json"), status_code=202)
    if upload.status != store.OPEN:
        raise upload_parts.not_open()
    try:
        uploaded = await uploads.assemble(upload, body.sha256)

        async def work(session: AsyncSession) -> Dataset:
            if not await store.close(session, upload.id, store.COMPLETED):
                # Whoever was faster completed it too, or ended it.
                if (made := await uploading.completed(session, upload_id)) is None:
                    raise upload_parts.not_open()
                return Dataset.of(made)
            fields = upload_parts.fields_of(upload)
            return Dataset.of(
                await uploading.add_dataset(session, upload.id, fields, uploaded, owner=principal.subject)
            )

        location = f"/api/datasets/{upload_id}"
        return await once(work, of=f"complete {upload_id}", status=202, location=lambda _: location)
    except PlatformError as error:
        if upload_parts.ends_upload(error) and await _given_up(database, upload_id):
            await uploads.forget(upload)
        raise


@routes.delete("/api/datasets/uploads/{upload_id}", status_code=204)
async def abort_upload(upload_id: UUID, request: Request, principal: Member, uploads: Uploads, read: OpenRead) -> None:
    """Give up an upload; its parts are removed."""
    async with read() as session:
        upload = await upload_parts.get_upload(session, upload_id, owner=principal.subject, status=store.OPEN)
    if not await _given_up(given(request.app, Database), upload_id):
        raise upload_parts.not_open()
    await uploads.forget(upload)


async def _given_up(database: Database, upload_id: UUID) -> bool:
    """End an open upload without a dataset; False when it has ended meanwhile: its file may be that of a dataset."""
    async with database.transaction(answering=True) as session:
        return await store.close(session, upload_id, store.ABORTED)
