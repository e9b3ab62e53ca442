"""Uploads in parts: for files too big for one request, and for connections that break."""

from typing import Annotated
from uuid import UUID

from fastapi import Header, Path, Request
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import JSONResponse

from slm_datasets.errors import FileTooLargeError
from slm_datasets.schemas import CompleteRequest, Dataset, UploadPart, UploadRequest, UploadState
from slm_datasets.service import parts, uploading
from slm_datasets.store import uploads as store
from slm_shared.access import Member
from slm_shared.database import Database
from slm_shared.errors import PlatformError
from slm_shared.idempotency import Idempotency
from slm_shared.ids import new_id
from slm_shared.web import ReadSession, WriteSession, router

routes = router(tags=["datasets"])

Checksum = Annotated[str | None, Header(alias="X-Content-SHA256", pattern=r"^[0-9a-fA-F]{64}$")]


@routes.post("/api/datasets/uploads", status_code=201, response_model=UploadState)
async def begin_upload(body: UploadRequest, request: Request, principal: Member, once: Idempotency) -> JSONResponse:
    """Begin an upload in parts; the answer lists them. Nothing shows as a dataset before it is complete."""
    uploads: parts.PartedUploads = request.app.state.uploads
    uploads.check(body)
    canonical = body.model_dump_json()
    if (stored := await once.stored(of=canonical)) is not None:
        return stored
    upload_id = new_id()
    multipart_id = await uploads.begin_object(upload_id)

    async def work(session: AsyncSession) -> UploadState:
        made = await uploads.begin(session, upload_id, body, multipart_id, owner=principal.subject)
        return await uploads.state(made)

    return await once(work, of=canonical, location=lambda made: f"/api/datasets/uploads/{made.id}")


@routes.get("/api/datasets/uploads/{upload_id}")
async def get_upload(upload_id: UUID, request: Request, principal: Member, session: ReadSession) -> UploadState:
    """Which parts of an upload are stored, and where the others go."""
    upload = await parts.get_upload(session, upload_id, owner=principal.subject)
    state: UploadState = await request.app.state.uploads.state(upload)
    return state


@routes.put("/api/datasets/uploads/{upload_id}/parts/{number}")
async def put_part(
    upload_id: UUID,
    number: Annotated[int, Path(ge=1, le=parts.MAX_PARTS)],
    request: Request,
    principal: Member,
    session: ReadSession,
    checksum: Checksum = None,
) -> UploadPart:
    """Store one part, sent as the body of the request; sending it again replaces it."""
    upload = await parts.get_upload(session, upload_id, owner=principal.subject, status=store.OPEN)
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > upload.part_bytes:
            raise FileTooLargeError(f"A part of this upload has {upload.part_bytes} bytes at most.")
    stored: UploadPart = await request.app.state.uploads.put(upload, number, bytes(data), sha256=checksum)
    return stored


@routes.post("/api/datasets/uploads/{upload_id}:complete", status_code=202, response_model=Dataset)
async def complete_upload(
    upload_id: UUID, body: CompleteRequest, request: Request, principal: Member, once: Idempotency
) -> JSONResponse:
    """Put the parts together, check the whole, and make the next version of the dataset.

    Completing twice gives the same dataset. A file that is not the one announced ends the upload.
    """
    uploads: parts.PartedUploads = request.app.state.uploads
    database: Database = request.app.state.database
    async with database.read() as session:
        upload = await parts.get_upload(session, upload_id, owner=principal.subject)
        made = await uploading.completed(session, upload_id)
    if made is not None:
        return JSONResponse(Dataset.of(made).model_dump(mode="json"), status_code=202)
    if upload.status != store.OPEN:
        raise parts.not_open()
    try:
        uploaded = await uploads.assemble(upload, body.sha256)

        async def work(session: AsyncSession) -> Dataset:
            await store.close(session, upload.id, store.COMPLETED)
            fields = parts.fields_of(upload)
            return Dataset.of(
                await uploading.add_dataset(session, upload.id, fields, uploaded, owner=principal.subject)
            )

        location = f"/api/datasets/{upload_id}"
        return await once(work, of=f"complete {upload_id}", status=202, location=lambda _: location)
    except PlatformError as error:
        if parts.ends_upload(error):
            async with database.transaction() as session:
                await store.close(session, upload.id, store.ABORTED)
            await uploads.forget(upload)
        raise


@routes.delete("/api/datasets/uploads/{upload_id}", status_code=204)
async def abort_upload(upload_id: UUID, request: Request, principal: Member, session: WriteSession) -> None:
    """Give up an upload; its parts are removed."""
    upload = await parts.get_upload(session, upload_id, owner=principal.subject, status=store.OPEN)
    await store.close(session, upload.id, store.ABORTED)
    await request.app.state.uploads.forget(upload)
