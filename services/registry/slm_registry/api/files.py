"""What a model is made of: its card and its files."""

from typing import Annotated, Literal

from fastapi import Query
from starlette.responses import HTMLResponse, Response, StreamingResponse

from slm_registry.api.dependencies import ModelToOpen, OpenedArtifact, Reader, Registration
from slm_registry.schemas import Card, Reproduction, Verification
from slm_registry.service import cards, files
from slm_registry.service.card_text import render, render_html
from slm_registry.service.files import Part
from slm_shared.http.access import Admin, Viewer
from slm_shared.http.routing import OpenRead, ServiceDatabase, router

routes = router(tags=["models"])


@routes.get("/api/models/{reference}/card", response_model=Card)
async def get_card(
    _: Viewer,
    artifact: OpenedArtifact,
    read: OpenRead,
    format: Annotated[Literal["json", "markdown", "html"], Query()] = "json",
) -> Card | Response:
    """The card of a model, from facts only: as JSON, as markdown with Hugging Face metadata, or as an HTML fragment."""
    async with read() as session:
        card = await cards.make_card(session, artifact)
    if format == "json":
        return card
    return HTMLResponse(render_html(card)) if format == "html" else Response(render(card), media_type="text/markdown")


@routes.get("/api/models/{reference}/reproduce", response_model=Reproduction)
async def get_reproduction(
    _: Viewer, artifact: OpenedArtifact, format: Annotated[Literal["json", "yaml"], Query()] = "json"
) -> Reproduction | Response:
    """What it takes to make a model again, or just the configuration of a run as YAML."""
    found = await cards.reproduce(artifact)
    return found if format == "json" else Response(found.config_yaml, media_type="application/yaml")


@routes.get("/api/models/{reference}/verification")
async def verify_model(_: Viewer, model: ModelToOpen, reader: Reader) -> Verification:
    """Read every file of a model back and compare it with its signed manifest."""
    return await reader.verify(model)


@routes.post("/api/models/{reference}:sign")
async def sign_model(
    principal: Admin, model: ModelToOpen, reader: Reader, registrar: Registration, database: ServiceDatabase
) -> Verification:
    """Vouch for a model that was registered before models were signed: every file is read back, then it is signed.

    A model that has a signature is only verified.
    """
    return await registrar.sign(database, reader, model, actor=principal.subject)


@routes.get("/api/models/{reference}/files/{path:path}", response_class=StreamingResponse)
async def get_file(path: str, _: Viewer, artifact: OpenedArtifact, read: OpenRead) -> StreamingResponse:
    """One file of a model, checked against its signed manifest."""
    async with read() as session:
        file = await files.open_file(session, artifact, path)
    headers = {"Content-Length": str(file.size_bytes), "ETag": f'"{file.sha256}"'}
    return StreamingResponse(file.chunks, media_type="application/octet-stream", headers=headers)


@routes.get("/api/models/{reference}/download", response_class=StreamingResponse)
async def download_model(
    _: Viewer,
    artifact: OpenedArtifact,
    read: OpenRead,
    part: Annotated[Part, Query(description="merged: without the LoRA adapter; adapter: only it.")] = "all",
) -> StreamingResponse:
    """Every file of a model as one tar archive, which unpacks to a folder that transformers loads."""
    async with read() as session:
        archive = await files.open_archive(session, artifact, part)
    headers = {"Content-Disposition": f'attachment; filename="{archive.name}"'}
    return StreamingResponse(archive.chunks, media_type="application/x-tar", headers=headers)
