"""Uploads in parts: for files too big for one request, and for connections that break."""

from functools import partial
from typing import Annotated
from uuid import UUID

from fastapi import Header, Path, Request
from starlette.responses import JSONResponse

from slm_datasets.api.dependencies import Uploads
from slm_datasets.domain.states import UploadStatus
from slm_datasets.schemas import CompleteRequest, Dataset, UploadPart, UploadRequest, UploadState
from slm_datasets.service import upload_parts
from slm_shared.http.access import Member
from slm_shared.http.forms import FileTooLargeError
from slm_shared.http.idempotency import Idempotency
from slm_shared.http.routing import OpenRead, OpenWrite, router
from slm_shared.storage.ids import new_id

routes = router(tags=["datasets"])

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
    work = partial(uploads.begin, upload_id=upload_id, request=body, multipart_id=multipart_id, owner=principal.subject)
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
        upload = await upload_parts.get_upload(session, upload_id, owner=principal.subject, status=UploadStatus.OPEN)
    data = await _read(request, max_bytes=upload.part_bytes)
    return await uploads.put(upload, number, data, sha256=checksum)


async def _read(request: Request, *, max_bytes: int) -> bytes:
    """The body of a request. Raises FileTooLargeError as soon as the limit is crossed."""
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > max_bytes:
            raise FileTooLargeError(f"A part of this upload has {max_bytes} bytes at most.")
    return bytes(data)


@routes.post("/api/datasets/uploads/{upload_id}:complete", status_code=202, response_model=Dataset)
async def complete_upload(
    upload_id: UUID,
    body: CompleteRequest,
    principal: Member,
    uploads: Uploads,
    read: OpenRead,
    write: OpenWrite,
    once: Idempotency,
) -> JSONResponse:
    """Put the parts together, check the whole, and make the next version of the dataset.

    Completing twice gives the same dataset. A file that is not the one announced ends the upload.
    """
    async with read() as session:
        upload, made = await upload_parts.find_completed(session, upload_id, owner=principal.subject)
    if made is not None:
        return JSONResponse(made.model_dump(mode="json"), status_code=202)
    async with uploads.ending(upload, write):
        uploaded = await uploads.assemble(upload, body.sha256)
        work = partial(upload_parts.complete, upload=upload, uploaded=uploaded)
        return await once(
            work, of=f"complete {upload_id}", status=202, location=lambda made: f"/api/datasets/{made.id}"
        )


@routes.delete("/api/datasets/uploads/{upload_id}", status_code=204)
async def abort_upload(upload_id: UUID, principal: Member, uploads: Uploads, write: OpenWrite) -> None:
    """Give up an upload; its parts are removed."""
    async with write() as session:
        upload = await upload_parts.abort(session, upload_id, owner=principal.subject)
    await uploads.forget(upload)
