"""`client.experiments`."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Unpack

from slm_client import calls
from slm_client.asynchronous.resource import AsyncResource
from slm_client.asynchronous.waiting import DAY_S, wait_until
from slm_client.calls.experiments import ExperimentFilters
from slm_client.models import Checkpoints, Comparison, Drift, Experiment, Log, Metrics, Page


class AsyncExperiments(AsyncResource):
    """`client.experiments`."""

    async def list(self, **filters: Unpack[ExperimentFilters]) -> Page[Experiment]:
        """A page of experiments, newest first or by `sort`, e.g. `eval_loss`."""
        return await self._client.send(calls.experiments.page(**filters))

    def list_all(self, **filters: Unpack[ExperimentFilters]) -> AsyncIterator[Experiment]:
        """Every experiment that `list` has, page by page."""
        return self._client.items(calls.experiments.page(**filters))

    async def get(self, experiment_id: object) -> Experiment:
        """One experiment."""
        return await self._client.send(calls.experiments.get(experiment_id))

    async def metrics(self, experiment_id: object, *, name: str | None = None, points: int | None = None) -> Metrics:
        """The metric series, all or the one called `name`, with all points or at most `points` each."""
        return await self._client.send(calls.experiments.metrics(experiment_id, name=name, points=points))

    async def log(
        self,
        experiment_id: object,
        *,
        limit: int = 200,
        after: int = 0,
        levels: Sequence[str] = (),
        q: str | None = None,
    ) -> Log:
        """The last lines of the log, or those after the line `after`; only these levels, only with the text `q`."""
        return await self._client.send(
            calls.experiments.log(experiment_id, limit=limit, after=after, levels=levels, q=q)
        )

    async def checkpoints(self, experiment_id: object) -> Checkpoints:
        """The stored checkpoints, with their metrics."""
        return await self._client.send(calls.experiments.checkpoints(experiment_id))

    async def drift(self, experiment_id: object) -> Drift:
        """How a reproduction differs from the original experiment."""
        return await self._client.send(calls.experiments.drift(experiment_id))

    async def compare(self, ids: Sequence[object], *, names: Sequence[str] = (), points: int = 500) -> Comparison:
        """Compare experiments: the options in which they differ, and their curves."""
        return await self._client.send(calls.experiments.compare(ids, names=names, points=points))

    async def wait(
        self,
        experiment_id: object,
        *,
        timeout_s: float = DAY_S,
        until: Callable[[Experiment], bool] = lambda experiment: experiment.is_finished,
        on_change: Callable[[Experiment], None] | None = None,
    ) -> Experiment:
        """Wait until an experiment has ended (or `until` is true), and return it; raises WaitTimeoutError."""
        return await wait_until(
            lambda: self.get(experiment_id),
            until,
            what=f"Experiment {experiment_id} did not end",
            timeout_s=timeout_s,
            on_change=on_change,
        )
