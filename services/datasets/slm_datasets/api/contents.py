"""What is in a dataset: preview, downloads, thumbnails."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Annotated, Literal

from fastapi import Query
from starlette.responses import Response, StreamingResponse

from slm_datasets.domain.keys import raw_key
from slm_datasets.domain.rows import IMAGES
from slm_datasets.errors import ImageNotFoundError
from slm_datasets.schemas import Preview
from slm_datasets.service import contents, reading
from slm_shared.http.access import Viewer
from slm_shared.http.routing import Objects, OpenRead, router

routes = router(tags=["datasets"])

MEDIA_TYPES = {"csv": "text/csv; charset=utf-8", "jsonl": "application/x-ndjson"}
SUFFIX_OF_FORMAT = {"text": "txt", "imagefolder": "zip"}
SUFFIX_OF_COMPRESSION = {"gzip": ".gz", "zstd": ".zst"}
# Files of strangers are saved, never shown by the browser in our name.
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
    items = await contents.read_page(objects, dataset, offset=offset, limit=limit)
    return Preview(items=items, offset=offset, total=dataset.rows or 0)


@routes.get("/api/datasets/{reference}/thumbnails/{row}", response_class=Response)
async def get_thumbnail(reference: str, row: int, _: Viewer, objects: Objects, read: OpenRead) -> Response:
    """The image of one row (from 0), at most 128 pixels wide and high, as PNG."""
    async with read() as session:
        dataset = await reading.get_processed(session, reference)
    if dataset.row_format != IMAGES or not 0 <= row < (dataset.rows or 0):
        raise ImageNotFoundError("The row has no image.")
    data = await contents.read_thumbnail(objects, dataset, row)
    return Response(data, media_type="image/png", headers={**SAFE, "Cache-Control": "private, max-age=86400"})


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
        dataset = await reading.get_dataset(session, reference)
        if format != "raw" or dataset.derived is not None:
            dataset = await reading.get_processed(session, reference)
    suffix = format if format != "raw" else SUFFIX_OF_FORMAT.get(dataset.format, dataset.format)
    if format == "raw":
        suffix += SUFFIX_OF_COMPRESSION.get(dataset.compression or "", "")
    headers = {"Content-Disposition": f'attachment; filename="{dataset.name}.{suffix}"', **SAFE}
    if format in MEDIA_TYPES:
        body = contents.stream_rows(objects, dataset, file_format=format)
        return StreamingResponse(await _begun(body), media_type=MEDIA_TYPES[format], headers=headers)
    key, size = dataset.object_key or "", dataset.canonical_size_bytes
    if format == "raw":
        # A part of a split was never uploaded: what it was made as is all there is.
        key = raw_key(dataset.id) if dataset.derived is None else dataset.object_key or ""
        size = dataset.size_bytes
    if size is not None:
        headers["Content-Length"] = str(size)
    return StreamingResponse(await _begun(objects.stream(key)), media_type="application/octet-stream", headers=headers)


async def _begun(stream: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    """The stream after its first chunk was fetched: a store that does not answer is told before the status is sent."""
    first = await anext(stream, b"")

    async def whole() -> AsyncIterator[bytes]:
        async with aclosing(stream):
            yield first
            async for chunk in stream:
                yield chunk

    return whole()
