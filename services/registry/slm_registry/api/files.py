"""What a model is made of: its card and its files."""

from typing import Annotated, Literal

from fastapi import Query, Request
from starlette.responses import HTMLResponse, Response, StreamingResponse

from slm_registry import store
from slm_registry.api.dependencies import Reader
from slm_registry.errors import FileNotInModelError
from slm_registry.schemas import Card, Reproduction, Verification
from slm_registry.service import cards, reading
from slm_registry.service.card_text import render, render_html
from slm_registry.service.files import part_of, stream_archive, stream_file
from slm_registry.service.registration import Registrar
from slm_shared.http.access import Admin, Viewer
from slm_shared.http.provided import given
from slm_shared.http.routing import OpenRead, router
from slm_shared.storage.database import Database

routes = router(tags=["models"])


@routes.get("/api/models/{reference}/card", response_model=Card)
async def get_card(
    reference: str,
    _: Viewer,
    reader: Reader,
    read: OpenRead,
    format: Annotated[Literal["json", "markdown", "html"], Query()] = "json",
) -> Card | Response:
    """The card of a model, from facts only: as JSON, as markdown with Hugging Face metadata, or as an HTML fragment."""
    async with read() as session:
        row = await reading.get_model(session, reference)
    artifact = await reader.open(row)
    async with read() as session:
        card = await cards.make_card(session, row, artifact)
    if format == "json":
        return card
    return HTMLResponse(render_html(card)) if format == "html" else Response(render(card), media_type="text/markdown")


@routes.get("/api/models/{reference}/reproduce", response_model=Reproduction)
async def get_reproduction(
    reference: str,
    _: Viewer,
    reader: Reader,
    read: OpenRead,
    format: Annotated[Literal["json", "yaml"], Query()] = "json",
) -> Reproduction | Response:
    """What it takes to make a model again, or just the configuration of a run as YAML."""
    async with read() as session:
        row = await reading.get_model(session, reference)
    found = await cards.reproduce(row, await reader.open(row))
    return found if format == "json" else Response(found.config_yaml, media_type="application/yaml")


@routes.get("/api/models/{reference}/verification")
async def verify_model(reference: str, _: Viewer, reader: Reader, read: OpenRead) -> Verification:
    """Read every file of a model back and compare it with its signed manifest."""
    async with read() as session:
        row = await reading.get_model(session, reference)
    return await reader.verify(row)


@routes.post("/api/models/{reference}:sign")
async def sign_model(reference: str, request: Request, principal: Admin, reader: Reader) -> Verification:
    """Vouch for a model that was registered before models were signed: every file is read back, then it is signed.

    A model that has a signature is only verified.
    """
    database = given(request.app, Database)
    async with database.read(answering=True) as session:
        row = await reading.get_model(session, reference)
    found = await reader.verify(row, as_signed=row.signature is not None)
    if row.signature is not None or not found.intact:
        return found
    async with database.transaction(answering=True) as session:
        await given(request.app, Registrar).sign(session, row, actor=principal.subject)
    async with database.read(answering=True) as session:
        return await reader.verify(await reading.get_model(session, str(row.id)))


@routes.get("/api/models/{reference}/files/{path:path}", response_class=StreamingResponse)
async def get_file(reference: str, path: str, _: Viewer, reader: Reader, read: OpenRead) -> StreamingResponse:
    """One file of a model, checked against its signed manifest."""
    async with read() as session:
        row = await reading.get_model(session, reference)
    artifact = await reader.open(row)
    file = artifact.files.file(path)
    if file is None:
        raise FileNotInModelError("The model has no such file.", hint="Its card lists the files.")
    headers = {"Content-Length": str(file.size_bytes), "ETag": f'"{file.sha256}"'}
    body = stream_file(artifact.objects, row.artifact_prefix, file)
    async with read() as session:
        await store.count_use(session, row.id, "file")
    return StreamingResponse(body, media_type="application/octet-stream", headers=headers)


@routes.get("/api/models/{reference}/download", response_class=StreamingResponse)
async def download_model(
    reference: str,
    _: Viewer,
    reader: Reader,
    read: OpenRead,
    part: Annotated[
        Literal["all", "merged", "adapter"], Query(description="merged: without the LoRA adapter; adapter: only it.")
    ] = "all",
) -> StreamingResponse:
    """Every file of a model as one tar archive, which unpacks to a folder that transformers loads."""
    async with read() as session:
        row = await reading.get_model(session, reference)
    artifact = await reader.open(row)
    files = artifact.files.files if part == "all" else part_of(artifact.files, adapter=part == "adapter")
    if not files:
        raise FileNotInModelError("The model has no adapter.", hint="It was trained in full, not with LoRA.")
    name = row.name if part == "all" else f"{row.name}-{part}"
    headers = {"Content-Disposition": f'attachment; filename="{name}.tar"'}
    cut = "adapter/" if part == "adapter" else ""
    body = stream_archive(artifact.objects, row.artifact_prefix, files, folder=name, cut=cut)
    async with read() as session:
        await store.count_use(session, row.id, "download")
    return StreamingResponse(body, media_type="application/x-tar", headers=headers)
