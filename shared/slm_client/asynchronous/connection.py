"""Sending requests to a gateway: retries, answers, downloads and live streams."""

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx2

from slm_client import wire
from slm_client.calls.base import Call, ProgressCallback
from slm_client.concurrency import async_sleep
from slm_client.errors import UnexpectedAnswerError, UnreachableError
from slm_client.feed import StreamPosition
from slm_client.models import Page
from slm_client.retrying import RetryPolicy

# The largest page that the platform gives.
MAX_PAGE_ITEMS = 100

T = TypeVar("T")


@dataclass(frozen=True)
class Download:
    """An answer on its way: its headers, and its bytes in `chunks`."""

    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]


class AsyncConnection:
    """A pool of connections to one gateway; use it as a context manager or call `aclose`.

    Raises SlmError when the platform refuses a request, and UnreachableError when it does not begin to answer within
    `answer_within_s` seconds (ten minutes for an upload).
    """

    def __init__(
        self,
        gateway: str | None = None,
        *,
        retry: RetryPolicy | None = None,
        answer_within_s: float = wire.READ_TIMEOUT_S,
    ) -> None:
        self.address = wire.gateway_address(gateway)
        self._retry = retry or RetryPolicy()
        self._http = httpx2.AsyncClient(**wire.client_options(self.address, answer_within_s=answer_within_s))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def send(self, call: Call[T]) -> T:
        """Send one request, again where that is safe and may help, and read its answer."""
        async with self._response(call, stream=False) as response:
            return wire.answer_of(call, response)

    async def items(self, call: Call[Page[T]]) -> AsyncIterator[T]:
        """Every item of a list, which is fetched page by page from the page that `call` asks for."""
        if "limit" not in call.params:
            call = call.with_params(limit=MAX_PAGE_ITEMS)
        page = await self.send(call)
        while True:
            for item in page.items:
                yield item
            if page.next_cursor is None:
                return
            page = await self.send(call.with_params(cursor=page.next_cursor))

    async def save(self, call: Call[Any], target: Path, *, on_progress: ProgressCallback | None = None) -> int:
        """Stream an answer into a file, which appears under its name only when it is complete; returns its bytes."""
        with wire.PartialFile(target, on_progress) as file, wire.raises_unreachable(self.address):
            async with self._response(call) as response:
                async for chunk in response.aiter_bytes():
                    file.write(chunk)
        return file.size_bytes

    @asynccontextmanager
    async def open(self, call: Call[Any]) -> AsyncIterator[Download]:
        """The answer to a call, chunk by chunk as it arrives, to pass it on instead of saving it."""
        async with self._response(call) as response:
            yield Download(response.headers, response.aiter_bytes())

    async def put(self, url: str, data: bytes) -> None:
        """Send bytes to an address that was signed for them, without any header of this client."""
        async with httpx2.AsyncClient(timeout=wire.UPLOAD_READ_TIMEOUT_S) as http:
            # An error names the host only: the signature in the address is a secret.
            host = httpx2.URL(url).host
            response = await self._send_patiently(lambda: http.put(url, content=data), address=host)
        wire.raise_unless_stored(response)

    async def _stream(self, position: StreamPosition[T]) -> AsyncIterator[T]:
        """The messages of a live stream from a position on; a broken connection is taken up again where it broke."""
        while True:
            try:
                async with self._response(position.call(), headers=position.headers()) as response:
                    async for event in httpx2.EventSource(response):
                        if (message := position.take(event)) is not None:
                            yield message
                if position.ends:
                    return
            except httpx2.SSEError as error:
                raise UnexpectedAnswerError(position.what, status=200) from error
            except httpx2.TransportError:
                pass
            await async_sleep(self._retry.first_delay_s)

    @asynccontextmanager
    async def _response(
        self, call: Call[Any], *, headers: Mapping[str, str] | None = None, stream: bool = True
    ) -> AsyncIterator[httpx2.Response]:
        """An open, successful response; its body is not read yet when it is a `stream`."""
        options = wire.request_options(call)
        # Made once, so that every retry carries the same Idempotency-Key.
        sent = {**wire.headers_for(call), **(headers or {})}

        def send() -> Awaitable[httpx2.Response]:
            request = self._http.build_request(call.method, call.path, headers=sent, **options)
            return self._http.send(request, stream=stream)

        try:
            response = await self._send_patiently(send, address=self.address)
            try:
                if not response.is_success:
                    await response.aread()
                    wire.raise_for_problem(response)
                yield response
            finally:
                await response.aclose()
        finally:
            wire.close_files(options)

    async def _send_patiently(self, send: Callable[[], Awaitable[httpx2.Response]], *, address: str) -> httpx2.Response:
        """The response to a request, which is sent again as the retry policy says."""
        for attempt in itertools.count(1):
            try:
                response = await send()
            except httpx2.TransportError as error:
                delay_s = self._retry.delay_after_error(error, attempt=attempt)
                if delay_s is None:
                    raise UnreachableError(address) from error
            else:
                delay_s = self._retry.delay_after_answer(response, attempt=attempt)
                if delay_s is None:
                    return response
                await response.aclose()
            await async_sleep(delay_s)
        raise AssertionError("unreachable")
