"""The client with all its resources."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx2

from slm_client import base_models, calls, pipeline, wire
from slm_client.asynchronous.connection import AsyncConnection
from slm_client.asynchronous.datasets import AsyncDatasets
from slm_client.asynchronous.evaluations import AsyncEvaluations
from slm_client.asynchronous.experiments import AsyncExperiments
from slm_client.asynchronous.models import AsyncModels
from slm_client.asynchronous.operations import AsyncOperations
from slm_client.asynchronous.runs import AsyncRuns
from slm_client.config_file import overridden
from slm_client.feed import ExperimentPosition, FeedPosition
from slm_client.models import Evaluation, LiveEvent, LiveMessage, Overview, Statistics, Workers
from slm_client.retrying import RetryPolicy


class AsyncSlmClient(AsyncConnection):
    """The platform behind one gateway: `client.datasets`, `client.runs`, `client.models` and so on.

    Use it as a context manager or call `aclose`. Raises SlmError when the platform refuses a request, and
    UnreachableError when it does not begin to answer within `answer_within_s` seconds (ten minutes for an upload).
    """

    def __init__(
        self,
        gateway: str | None = None,
        *,
        retry: RetryPolicy | None = None,
        answer_within_s: float = wire.READ_TIMEOUT_S,
    ) -> None:
        super().__init__(gateway, retry=retry, answer_within_s=answer_within_s)
        self.datasets = AsyncDatasets(self)
        self.runs = AsyncRuns(self)
        self.experiments = AsyncExperiments(self)
        self.models = AsyncModels(self)
        self.evaluations = AsyncEvaluations(self)
        self.operations = AsyncOperations(self)

    async def overview(self) -> Overview:
        """The platform at a glance."""
        return await self.send(calls.platform.overview())

    async def workers(self) -> Workers:
        """The connected trainers."""
        return await self.send(calls.runs.workers())

    async def statistics(self, *, since: str | None = None) -> Statistics:
        """Training in numbers; `since` is an RFC 3339 moment."""
        return await self.send(calls.runs.statistics(since=since))

    async def run_pipeline(
        self, config: Mapping[str, Any] | Path | str, model_version: str | None = None
    ) -> Evaluation:
        """Train, register and evaluate as a configuration (or the YAML file at a path) says; returns the evaluation.

        Uploads the file that `training_data.path` names, and registers a base model that is a folder or on the Hugging
        Face hub. The configuration must name an evaluation_dataset. Raises PipelineError when a stage fails.
        """
        settings, path = pipeline.prepared(config, model_version)
        if path is not None:
            uploaded = await self.datasets.upload(path)
            processed = await self.datasets.wait(uploaded.id)
            settings = pipeline.dataset_named(settings, path, processed.name)
        if base_models.is_external(base := base_models.base_model_of(settings)):
            brought = await self.models.bring(str(base))
            settings = overridden(settings, {"base_model": brought.name})
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

    async def feed_position(self) -> int:
        """The stream sequence of the latest event, from which `events(after=…)` can go back or on."""
        position = FeedPosition((), after=None, follow=True)
        async with self._response(position.call(), headers=position.headers()) as response:
            async for event in httpx2.EventSource(response):
                position.take(event)
                break
        return position.after or 0

    def events(
        self, *, types: tuple[str, ...] = (), after: int | None = None, follow: bool = True
    ) -> AsyncIterator[LiveEvent]:
        """The live feed: events after the stream sequence `after` (None: from now on), then new ones as they happen.

        A broken connection is taken up again where it broke; with `follow=False` the feed ends with the latest event.
        """
        return self._stream(FeedPosition(types, after=after, follow=follow))

    def follow(self, experiment_id: object, *, after: int = 0) -> AsyncIterator[LiveMessage]:
        """What happens to an experiment until it ends: progress, and log lines after the line `after`.

        A broken connection is taken up again where it broke.
        """
        return self._stream(ExperimentPosition(experiment_id, after=after))
