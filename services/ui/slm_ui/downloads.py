"""Downloads: files stream from the platform through the console to the browser, and are never held here."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import PurePosixPath
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from slm_client import AsyncSlmClient, SlmError, calls
from slm_client.asynchronous import Download
from slm_client.calls.base import Call, Nothing
from slm_ui.hints import hint_of

FORMATS = ("raw", "csv", "jsonl", "parquet")
PARTS = ("all", "merged", "adapter")
PASSED_ON = ("content-type", "content-length", "content-disposition")
UNREACHABLE = 503

Answer = Callable[[Request], Awaitable[Response]]


def dataset_url(dataset_id: str, *, file_format: str) -> str:
    """Where a browser gets a dataset."""
    return f"download/datasets/{dataset_id}?format={file_format}"


def model_url(model_id: str, *, part: str = "all") -> str:
    """Where a browser gets the files of a model, or of a part of it, as one archive."""
    return f"download/models/{model_id}?part={part}"


def file_url(model_id: str, path: str) -> str:
    """Where a browser gets one file of a model."""
    return f"download/models/{model_id}/files/{quote(path)}"


def thumbnail_url(path: str) -> str:
    """Where a browser gets the image that the platform has under this path."""
    return f"download/{path.removeprefix('/api/')}"


def predictions_url(evaluation_id: str) -> str:
    """Where a browser gets every answer of an evaluation."""
    return f"download/evaluations/{evaluation_id}"


def download_routes(gateway_url: str) -> list[Route]:
    """The routes of everything that can be downloaded."""

    async def dataset(request: Request) -> Response:
        file_format = request.query_params.get("format", "raw")
        if file_format not in FORMATS:
            return PlainTextResponse(f"The format is one of {', '.join(FORMATS)}.\n", 422)
        call = calls.datasets.download(request.path_params["reference"], file_format=file_format)
        return await _passed_on(gateway_url, call)

    async def model(request: Request) -> Response:
        part = request.query_params.get("part", "all")
        if part not in PARTS:
            return PlainTextResponse(f"The part is one of {', '.join(PARTS)}.\n", 422)
        return await _passed_on(gateway_url, calls.models.download(request.path_params["reference"], part=part))

    async def model_file(request: Request) -> Response:
        found = request.path_params
        name = PurePosixPath(found["path"]).name
        return await _passed_on(gateway_url, calls.models.download_file(found["reference"], found["path"]), name=name)

    async def predictions(request: Request) -> Response:
        return await _passed_on(gateway_url, calls.evaluations.download_predictions(request.path_params["reference"]))

    async def thumbnail(request: Request) -> Response:
        found = request.path_params
        return await _passed_on(gateway_url, calls.datasets.thumbnail(found["reference"], found["row"]))

    return [
        Route("/download/datasets/{reference}/thumbnails/{row:int}", thumbnail),
        Route("/download/evaluations/{reference}", predictions),
        Route("/download/datasets/{reference}", dataset),
        Route("/download/models/{reference}/files/{path:path}", model_file),
        Route("/download/models/{reference}", model),
    ]


async def _passed_on(gateway_url: str, call: Call[Nothing], *, name: str | None = None) -> Response:
    """What the platform sends; `name` is that of the file where the platform gives none."""
    stack = AsyncExitStack()
    try:
        # A client of its own: those of the pages belong to other threads and event loops.
        client = await stack.enter_async_context(AsyncSlmClient(gateway_url))
        download = await stack.enter_async_context(client.open(call))
    except SlmError as error:
        await stack.aclose()
        lines = (error.message, hint_of(error))
        return PlainTextResponse("".join(f"{line}\n" for line in lines if line), error.status or UNREACHABLE)
    headers = {each: value for each in PASSED_ON if (value := download.headers.get(each))}
    if name is not None:
        headers["content-disposition"] = f"attachment; filename*=UTF-8''{quote(name)}"
    return StreamingResponse(_until_end(download, stack), headers=headers)


async def _until_end(download: Download, stack: AsyncExitStack) -> AsyncIterator[bytes]:
    async with stack:
        async for chunk in download.chunks:
            yield chunk
