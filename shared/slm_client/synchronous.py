"""The synchronous client."""

import itertools
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx2

from slm_client import bases, calls, pipeline, wire
from slm_client.calls import Call, ProgressCallback, experiment_live, overview
from slm_client.config_file import overridden
from slm_client.errors import UnexpectedAnswerError, UnreachableError
from slm_client.feed import FeedPosition, live_headers, live_message
from slm_client.models import Evaluation, LiveEvent, LiveMessage, Overview, Statistics, Workers
from slm_client.resources import Datasets, Evaluations, Experiments, Models, Operations, Runs
from slm_client.retrying import RetryPolicy

T = TypeVar("T")


@dataclass(frozen=True)
class Download:
    """An answer on its way: its headers, and its bytes in `chunks`."""

    headers: Mapping[str, str]
    chunks: Iterator[bytes]


class SlmClient:
    """One connection pool to one gateway; use it as a context manager or call `close`.

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
        self._http = httpx2.Client(**wire.client_options(self.address, answer_within_s=answer_within_s))
        self.datasets = Datasets(self)
        self.runs = Runs(self)
        self.experiments = Experiments(self)
        self.models = Models(self)
        self.evaluations = Evaluations(self)
        self.operations = Operations(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def send(self, call: Call[T]) -> T:
        """Send one request, again where that is safe and promising, and read its answer."""
        with self._response(call, stream=False) as response:
            return wire.answer_of(call, response)

    def overview(self) -> Overview:
        """The platform at a glance."""
        return self.send(overview())

    def run_pipeline(self, config: Mapping[str, Any] | Path | str, model_version: str | None = None) -> Evaluation:
        """Train, register and evaluate as a configuration (or the YAML file under a path) says; the evaluation.

        Uploads the file that `training_data.path` names, and brings a base model along that is a folder
        or on the hub. The configuration has to name an evaluation_dataset. Raises
        PipelineError when a stage does not end well.
        """
        settings, path = pipeline.prepared(config, model_version)
        if path is not None:
            uploaded = self.datasets.wait(self.datasets.upload(path).id)
            settings = pipeline.dataset_named(settings, path, uploaded.name)
        if bases.is_elsewhere(base := bases.base_of(settings)):
            settings = overridden(settings, {"base_model": self.models.bring(str(base)).name})
        run = self.runs.launch(settings)
        if run.evaluation_dataset is None:
            self.runs.cancel(run.id)
            raise pipeline.PipelineError("The configuration names no evaluation_dataset.", code="nothing_to_measure")
        pipeline.completed(self.experiments.wait(run.experiment_id))
        timeout_s = pipeline.REGISTRATION_TIMEOUT_S
        model = self.models.wait_for_experiment(run.experiment_id, timeout_s=timeout_s)
        begun = self.evaluations.wait_for(model_id=model.id, dataset_id=run.evaluation_dataset.id, timeout_s=timeout_s)
        return pipeline.evaluated(self.evaluations.wait(begun.id))

    def workers(self) -> Workers:
        """The connected trainers."""
        return self.send(calls.list_workers())

    def statistics(self, *, since: str | None = None) -> Statistics:
        """Training in numbers; `since` is an RFC 3339 moment."""
        return self.send(calls.statistics(since=since))

    def save(self, call: Call[Any], target: Path, *, on_progress: ProgressCallback | None = None) -> int:
        """Stream an answer into a file, which appears under its name only when it is complete; returns its bytes."""
        with (
            wire.PartialFile(target, on_progress) as file,
            wire.told_as_unreachable(self.address),
            self._response(call) as response,
        ):
            for chunk in response.iter_bytes():
                file.write(chunk)
        return file.size_bytes

    @contextmanager
    def open(self, call: Call[Any]) -> Iterator[Download]:
        """What a call answers, chunk by chunk as it arrives, for whoever passes it on instead of saving it."""
        with self._response(call) as response:
            yield Download(response.headers, response.iter_bytes())

    def feed_position(self) -> int:
        """The stream sequence of the latest event, from which `events(after=…)` can go back or on."""
        position = FeedPosition(types=(), after=None, follow=True)
        with self._response(position.call(), headers=position.headers()) as response:
            for event in httpx2.EventSource(response):
                position.take(event)
                break
        return position.after or 0

    def put(self, url: str, data: bytes) -> None:
        """Send bytes to an address that was signed for them; nothing of this client's own headers goes there."""
        for attempt in itertools.count(1):
            try:
                response = httpx2.put(url, content=data, timeout=wire.UPLOAD_READ_TIMEOUT_S)
            except httpx2.TransportError as error:
                delay = self._retry.delay_after_error(error, attempt=attempt)
                if delay is None:
                    raise UnreachableError(wire.host_of(url)) from error
            else:
                delay = self._retry.delay_after_answer(response, attempt=attempt)
                if delay is None:
                    wire.raise_unless_stored(response)
                    return
            time.sleep(delay)

    def events(
        self, *, types: tuple[str, ...] = (), after: int | None = None, follow: bool = True
    ) -> Iterator[LiveEvent]:
        """The live feed: events after the stream sequence `after` (None: from now on), then new ones as they happen.

        A broken connection is taken up again where it broke; with `follow=False` it ends with the latest event.
        """
        position = FeedPosition(types=types, after=after, follow=follow)
        while True:
            try:
                with self._response(position.call(), headers=position.headers()) as response:
                    for event in httpx2.EventSource(response):
                        if (live := position.take(event)) is not None:
                            yield live
                if not follow:
                    return
            except httpx2.SSEError as error:
                raise UnexpectedAnswerError("The live feed", status=200) from error
            except httpx2.TransportError:
                pass
            time.sleep(self._retry.first_delay_s)

    def follow(self, experiment_id: object, *, after: int = 0) -> Iterator[LiveMessage]:
        """What happens to an experiment until it ends: progress, and log lines behind `after`.

        A broken connection is taken up again where it broke.
        """
        while True:
            try:
                with self._response(experiment_live(experiment_id), headers=live_headers(after)) as response:
                    for event in httpx2.EventSource(response):
                        if (message := live_message(event)) is not None:
                            after = message.id
                            yield message
                return
            except httpx2.SSEError as error:
                raise UnexpectedAnswerError("The live view", status=200) from error
            except httpx2.TransportError:
                time.sleep(self._retry.first_delay_s)

    @contextmanager
    def _response(
        self, call: Call[Any], *, headers: Mapping[str, str] | None = None, stream: bool = True
    ) -> Iterator[httpx2.Response]:
        """An open, successful response; its body is not read yet when it is a `stream`."""
        options = wire.request_options(call)
        try:
            response = self._send_patiently(call, options, {**wire.headers_for(call), **(headers or {})}, stream=stream)
            try:
                if not response.is_success:
                    response.read()
                    wire.raise_for_problem(response)
                yield response
            finally:
                response.close()
        finally:
            wire.close_files(options)

    def _send_patiently(
        self, call: Call[Any], options: Mapping[str, Any], headers: Mapping[str, str], *, stream: bool
    ) -> httpx2.Response:
        for attempt in itertools.count(1):
            request = self._http.build_request(call.method, call.path, headers=headers, **options)
            try:
                response = self._http.send(request, stream=stream)
            except httpx2.TransportError as error:
                delay = self._retry.delay_after_error(error, attempt=attempt)
                if delay is None:
                    raise UnreachableError(self.address) from error
            else:
                delay = self._retry.delay_after_answer(response, attempt=attempt)
                if delay is None:
                    return response
                response.close()
            time.sleep(delay)
        raise AssertionError("unreachable")
