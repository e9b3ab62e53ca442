"""Downloads: files stream from the platform through the console to the browser, and are never held here."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from slm_client import AsyncSlmClient, SlmError
from slm_client.asynchronous import Download
from slm_client.calls import (
    Call,
    Nothing,
    dataset_thumbnail,
    download_dataset,
    download_model,
    download_predictions,
)

FORMATS = ("raw", "csv", "jsonl", "parquet")
PASSED_ON = ("content-type", "content-length", "content-disposition")
UNREACHABLE = 503

Answer = Callable[[Request], Awaitable[Response]]


def dataset_url(dataset_id: str, *, file_format: str) -> str:
    """Where a browser gets a dataset."""
    return f"download/datasets/{dataset_id}?format={file_format}"


def model_url(model_id: str) -> str:
    """Where a browser gets all files of a model."""
    return f"download/models/{model_id}"


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
        call = download_dataset(request.path_params["reference"], file_format=file_format)
        return await _passed_on(gateway_url, call)

    async def model(request: Request) -> Response:
        return await _passed_on(gateway_url, download_model(request.path_params["reference"]))

    async def predictions(request: Request) -> Response:
        return await _passed_on(gateway_url, download_predictions(request.path_params["reference"]))

    async def thumbnail(request: Request) -> Response:
        found = request.path_params
        return await _passed_on(gateway_url, dataset_thumbnail(found["reference"], found["row"]))

    return [
        Route("/download/datasets/{reference}/thumbnails/{row:int}", thumbnail),
        Route("/download/evaluations/{reference}", predictions),
        Route("/download/datasets/{reference}", dataset),
        Route("/download/models/{reference}", model),
    ]


async def _passed_on(gateway_url: str, call: Call[Nothing]) -> Response:
    stack = AsyncExitStack()
    try:
        client = await stack.enter_async_context(AsyncSlmClient(gateway_url))
        download = await stack.enter_async_context(client.open(call))
    except SlmError as error:
        await stack.aclose()
        hint = f"\n{error.hint}" if error.hint else ""
        return PlainTextResponse(f"{error.message}{hint}\n", error.status or UNREACHABLE)
    headers = {name: value for name in PASSED_ON if (value := download.headers.get(name))}
    return StreamingResponse(_until_end(download, stack), headers=headers)


async def _until_end(download: Download, stack: AsyncExitStack) -> AsyncIterator[bytes]:
    async with stack:
        async for chunk in download.chunks:
            yield chunk
