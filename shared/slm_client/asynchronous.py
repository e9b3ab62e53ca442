"""The asynchronous client: the same as `synchronous`, to be awaited."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx2

from slm_client import bases, calls, pipeline, wire
from slm_client.async_resources import (
    AsyncDatasets,
    AsyncEvaluations,
    AsyncExperiments,
    AsyncModels,
    AsyncOperations,
    AsyncRuns,
)
from slm_client.calls import Call, ProgressCallback, experiment_live, overview
from slm_client.config_file import overridden
from slm_client.errors import UnexpectedAnswerError, UnreachableError
from slm_client.feed import FeedPosition, live_headers, live_message
from slm_client.models import Evaluation, LiveEvent, LiveMessage, Overview, Statistics, Workers
from slm_client.retrying import RetryPolicy

T = TypeVar("T")


@dataclass(frozen=True)
class Download:
    """An answer on its way: its headers, and its bytes in `chunks`."""

    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]


class AsyncSlmClient:
    """One connection pool to one gateway; use it as an async context manager or call `aclose`.

    Raises SlmError for whatever the platform refuses, and UnreachableError when it does not begin to answer within
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
        self.datasets = AsyncDatasets(self)
        self.runs = AsyncRuns(self)
        self.experiments = AsyncExperiments(self)
        self.models = AsyncModels(self)
        self.evaluations = AsyncEvaluations(self)
        self.operations = AsyncOperations(self)

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
        """Send one request, again where that is safe and promising, and read its answer."""
        async with self._response(call, stream=False) as response:
            return wire.answer_of(call, response)

    async def overview(self) -> Overview:
        """The platform at a glance."""
        return await self.send(overview())

    async def run_pipeline(
        self, config: Mapping[str, Any] | Path | str, model_version: str | None = None
    ) -> Evaluation:
        """Train, register and evaluate as a configuration (or the YAML file under a path) says; the evaluation.

        Uploads the file that `training_data.path` names, and brings a base model along that is a folder
        or on the hub. The configuration has to name an evaluation_dataset. Raises
        PipelineError when a stage does not end well.
        """
        settings, path = pipeline.prepared(config, model_version)
        if path is not None:
            uploaded = await self.datasets.wait((await self.datasets.upload(path)).id)
            settings = pipeline.dataset_named(settings, path, uploaded.name)
        if bases.is_elsewhere(base := bases.base_of(settings)):
            settings = overridden(settings, {"base_model": (await self.models.bring(str(base))).name})
        run = await self.runs.launch(settings)
        if run.evaluation_dataset is None:
            await self.runs.cancel(run.id)
            raise pipeline.PipelineError("The configuration names no evaluation_dataset.", code="nothing_to_measure")
        pipeline.completed(await self.experiments.wait(run.experiment_id))
        timeout_s = pipeline.REGISTRATION_TIMEOUT_S
        model = await self.models.wait_for_experiment(run.experiment_id, timeout_s=timeout_s)
        begun = await self.evaluations.wait_for(
            model_id=model.id, dataset_id=run.evaluation_dataset.id, timeout_s=timeout_s
        )
        return pipeline.evaluated(await self.evaluations.wait(begun.id))

    async def workers(self) -> Workers:
        """The connected trainers."""
        return await self.send(calls.list_workers())

    async def statistics(self, *, since: str | None = None) -> Statistics:
        """Training in numbers; `since` is an RFC 3339 moment."""
        return await self.send(calls.statistics(since=since))

    async def save(self, call: Call[Any], target: Path, *, on_progress: ProgressCallback | None = None) -> int:
        """Stream an answer into a file, which appears under its name only when it is complete; returns its bytes."""
        with wire.PartialFile(target, on_progress) as file, wire.told_as_unreachable(self.address):
            async with self._response(call) as response:
                async for chunk in response.aiter_bytes():
                    file.write(chunk)
        return file.size_bytes

    @asynccontextmanager
    async def open(self, call: Call[Any]) -> AsyncIterator[Download]:
        """What a call answers, chunk by chunk as it arrives, for whoever passes it on instead of saving it."""
        async with self._response(call) as response:
            yield Download(response.headers, response.aiter_bytes())

    async def feed_position(self) -> int:
        """The stream sequence of the latest event, from which `events(after=…)` can go back or on."""
        position = FeedPosition(types=(), after=None, follow=True)
        async with self._response(position.call(), headers=position.headers()) as response:
            async for event in httpx2.EventSource(response):
                position.take(event)
                break
        return position.after or 0

    async def put(self, url: str, data: bytes) -> None:
        """Send bytes to an address that was signed for them; nothing of this client's own headers goes there."""
        for attempt in itertools.count(1):
            try:
                async with httpx2.AsyncClient(timeout=wire.UPLOAD_READ_TIMEOUT_S) as http:
                    response = await http.put(url, content=data)
            except httpx2.TransportError as error:
                delay = self._retry.delay_after_error(error, attempt=attempt)
                if delay is None:
                    raise UnreachableError(wire.host_of(url)) from error
            else:
                delay = self._retry.delay_after_answer(response, attempt=attempt)
                if delay is None:
                    wire.raise_unless_stored(response)
                    return
            await asyncio.sleep(delay)

    async def events(
        self, *, types: tuple[str, ...] = (), after: int | None = None, follow: bool = True
    ) -> AsyncIterator[LiveEvent]:
        """The live feed: events after the stream sequence `after` (None: from now on), then new ones as they happen.

        A broken connection is taken up again where it broke; with `follow=False` it ends with the latest event.
        """
        position = FeedPosition(types=types, after=after, follow=follow)
        while True:
            try:
                async with self._response(position.call(), headers=position.headers()) as response:
                    async for event in httpx2.EventSource(response):
                        if (live := position.take(event)) is not None:
                            yield live
                if not follow:
                    return
            except httpx2.SSEError as error:
                raise UnexpectedAnswerError("The live feed", status=200) from error
            except httpx2.TransportError:
                pass
            await asyncio.sleep(self._retry.first_delay_s)

    async def follow(self, experiment_id: object, *, after: int = 0) -> AsyncIterator[LiveMessage]:
        """What happens to an experiment until it ends: progress, and log lines behind `after`.

        A broken connection is taken up again where it broke.
        """
        while True:
            try:
                async with self._response(experiment_live(experiment_id), headers=live_headers(after)) as response:
                    async for event in httpx2.EventSource(response):
                        if (message := live_message(event)) is not None:
                            after = message.id
                            yield message
                return
            except httpx2.SSEError as error:
                raise UnexpectedAnswerError("The live view", status=200) from error
            except httpx2.TransportError:
                await asyncio.sleep(self._retry.first_delay_s)

    @asynccontextmanager
    async def _response(
        self, call: Call[Any], *, headers: Mapping[str, str] | None = None, stream: bool = True
    ) -> AsyncIterator[httpx2.Response]:
        """An open, successful response; its body is not read yet when it is a `stream`."""
        options = wire.request_options(call)
        try:
            response = await self._send_patiently(
                call, options, {**wire.headers_for(call), **(headers or {})}, stream=stream
            )
            try:
                if not response.is_success:
                    await response.aread()
                    wire.raise_for_problem(response)
                yield response
            finally:
                await response.aclose()
        finally:
            wire.close_files(options)

    async def _send_patiently(
        self, call: Call[Any], options: Mapping[str, Any], headers: Mapping[str, str], *, stream: bool
    ) -> httpx2.Response:
        for attempt in itertools.count(1):
            request = self._http.build_request(call.method, call.path, headers=headers, **options)
            try:
                response = await self._http.send(request, stream=stream)
            except httpx2.TransportError as error:
                delay = self._retry.delay_after_error(error, attempt=attempt)
                if delay is None:
                    raise UnreachableError(self.address) from error
            else:
                delay = self._retry.delay_after_answer(response, attempt=attempt)
                if delay is None:
                    return response
                await response.aclose()
            await asyncio.sleep(delay)
        raise AssertionError("unreachable")
