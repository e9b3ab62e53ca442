"""What is in a dataset: preview, downloads, thumbnails."""

from typing import Annotated

from fastapi import Query
from starlette.responses import Response, StreamingResponse

from slm_datasets.schemas import Preview
from slm_datasets.service import contents, reading
from slm_datasets.service.contents import FileFormat
from slm_shared.http.access import Viewer
from slm_shared.http.routing import Objects, OpenRead, router

routes = router(tags=["datasets"])

# A browser saves these files and never renders them: they come from users, under the origin of the platform.
SAFE = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox; default-src 'none'"}


@routes.get("/api/datasets/{reference}/preview")
async def preview_dataset(
    reference: str,
    _: Viewer,
    objects: Objects,
    read: OpenRead,
    offset: Annotated[int, Query(ge=0, lt=2**53)] = 0,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> Preview:
    """Some rows of a processed dataset; an image is shown as where its thumbnail is."""
    async with read() as session:
        dataset = await reading.get_processed(session, reference)
    return await contents.read_page(objects, dataset, offset=offset, limit=limit)


@routes.get("/api/datasets/{reference}/thumbnails/{row}", response_class=Response)
async def get_thumbnail(reference: str, row: int, _: Viewer, objects: Objects, read: OpenRead) -> Response:
    """The image of one row (from 0), at most 128 pixels wide and high, as PNG."""
    async with read() as session:
        dataset = await reading.get_processed(session, reference)
    data = await contents.read_thumbnail(objects, dataset, row)
    return Response(data, media_type="image/png", headers={**SAFE, "Cache-Control": "private, max-age=86400"})


@routes.get("/api/datasets/{reference}/download", response_class=StreamingResponse)
async def download_dataset(
    reference: str, _: Viewer, objects: Objects, read: OpenRead, format: Annotated[FileFormat, Query()] = "raw"
) -> StreamingResponse:
    """The file as it was uploaded, or its rows as Parquet, JSONL or CSV."""
    async with read() as session:
        dataset = await contents.find_downloadable(session, reference, format)
    file = await contents.open_download(objects, dataset, format)
    headers = {"Content-Disposition": f'attachment; filename="{file.name}"', **SAFE}
    if file.size_bytes is not None:
        headers["Content-Length"] = str(file.size_bytes)
    return StreamingResponse(file.chunks, media_type=file.media_type, headers=headers)
