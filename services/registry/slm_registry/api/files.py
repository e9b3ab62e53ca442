"""What a model is made of: its card, its lineage and its files."""

from typing import Annotated, Literal

from fastapi import Query
from starlette.responses import PlainTextResponse, StreamingResponse

from slm_registry.archive import stream_archive, stream_file
from slm_registry.card import render
from slm_registry.errors import FileNotInModelError
from slm_registry.schemas import Card, Lineage
from slm_registry.service import reading
from slm_registry.store.aliases import count_use
from slm_shared import manifest
from slm_shared.access import Viewer
from slm_shared.web import Objects, OpenRead, ReadSession, router

routes = router(tags=["models"])


@routes.get("/api/models/{reference}/card", response_model=Card)
async def get_card(
    reference: str,
    _: Viewer,
    objects: Objects,
    read: OpenRead,
    format: Annotated[Literal["json", "markdown"], Query()] = "json",
) -> Card | PlainTextResponse:
    """The card of a model, from facts only, as JSON or as markdown with Hugging Face metadata."""
    async with read() as session:
        row = await reading.get_model(session, reference)
    files = await manifest.load(objects, row.artifact_prefix, row.manifest_sha256)
    async with read() as session:
        card = await reading.make_card(session, row, files)
    return PlainTextResponse(render(card), media_type="text/markdown") if format == "markdown" else card


@routes.get("/api/models/{reference}/lineage", response_model=Lineage)
async def get_lineage(
    reference: str,
    _: Viewer,
    session: ReadSession,
    format: Annotated[Literal["json", "mermaid"], Query()] = "json",
) -> Lineage | PlainTextResponse:
    """Where a model comes from and what it scored, as JSON or as a Mermaid flowchart."""
    graph = await reading.lineage(session, await reading.get_model(session, reference, deleted=True))
    if format == "mermaid":
        return PlainTextResponse(graph.mermaid())
    return Lineage.model_validate(graph, from_attributes=True)


@routes.get("/api/models/{reference}/files/{path:path}", response_class=StreamingResponse)
async def get_file(reference: str, path: str, _: Viewer, objects: Objects, read: OpenRead) -> StreamingResponse:
    """One file of a model, checked against its manifest."""
    async with read() as session:
        row = await reading.get_model(session, reference)
    file = (await manifest.load(objects, row.artifact_prefix, row.manifest_sha256)).file(path)
    if file is None:
        raise FileNotInModelError("The model has no such file.", hint="Its card lists the files.")
    headers = {"Content-Length": str(file.size_bytes), "ETag": f'"{file.sha256}"'}
    body = stream_file(objects, row.artifact_prefix, file)
    async with read() as session:
        await count_use(session, row.id, "file")
    return StreamingResponse(body, media_type="application/octet-stream", headers=headers)


@routes.get("/api/models/{reference}/download", response_class=StreamingResponse)
async def download_model(reference: str, _: Viewer, objects: Objects, read: OpenRead) -> StreamingResponse:
    """Every file of a model as one tar archive, which unpacks to a folder that transformers loads."""
    async with read() as session:
        row = await reading.get_model(session, reference)
        await count_use(session, row.id, "download")
    files = await manifest.load(objects, row.artifact_prefix, row.manifest_sha256)
    headers = {"Content-Disposition": f'attachment; filename="{row.name}.tar"'}
    body = stream_archive(objects, row.artifact_prefix, files, folder=row.name)
    return StreamingResponse(body, media_type="application/x-tar", headers=headers)
