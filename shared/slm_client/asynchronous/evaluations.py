"""`client.evaluations`."""

from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Unpack

from slm_client import calls
from slm_client.asynchronous.resource import AsyncResource
from slm_client.asynchronous.waiting import DAY_S, wait_for_first, wait_until
from slm_client.calls.base import ProgressCallback
from slm_client.calls.evaluations import EvaluationFilters
from slm_client.models import Curves, Evaluation, EvaluationComparison, Page, Predictions, Suites


class AsyncEvaluations(AsyncResource):
    """`client.evaluations`."""

    async def list(self, **filters: Unpack[EvaluationFilters]) -> Page[Evaluation]:
        """A page of evaluations, newest first or by `sort`; `since` and `until` are RFC 3339 times."""
        return await self._client.send(calls.evaluations.page(**filters))

    def list_all(self, **filters: Unpack[EvaluationFilters]) -> AsyncIterator[Evaluation]:
        """Every evaluation that `list` has, page by page."""
        return self._client.items(calls.evaluations.page(**filters))

    async def create(
        self,
        model: str,
        dataset: str,
        *,
        metrics: Sequence[str] | None = None,
        max_length: int | None = None,
        max_new_tokens: int | None = None,
        generations: int | None = None,
        suite: str | None = None,
    ) -> Evaluation:
        """Queue an evaluation of a model on a dataset, or return the one with the same settings; see `wait`.

        `suite` runs a benchmark suite instead; `metrics` and `generations` cannot be given with it.
        """
        settings = {
            "model": model,
            "dataset": dataset,
            "metrics": list(metrics) if metrics else None,
            "max_length": max_length,
            "max_new_tokens": max_new_tokens,
            "generations": generations,
            "suite": suite,
        }
        return await self._client.send(calls.evaluations.create(settings))

    async def suites(self) -> Suites:
        """The available benchmark suites."""
        return await self._client.send(calls.evaluations.suites())

    async def cancel(self, evaluation_id: object) -> Evaluation:
        """Cancel an evaluation: at once while it is queued, within seconds while it runs."""
        return await self._client.send(calls.evaluations.cancel(evaluation_id))

    async def retry(self, evaluation_id: object) -> Evaluation:
        """Queue a failed or cancelled evaluation again."""
        return await self._client.send(calls.evaluations.retry(evaluation_id))

    async def compare(self, first: object, second: object) -> EvaluationComparison:
        """Compare two evaluations of the same rows: the difference of each metric, with an interval if known."""
        return await self._client.send(calls.evaluations.compare(first, second))

    async def predictions(
        self,
        evaluation_id: object,
        *,
        sort: str | None = None,
        exact: bool | None = None,
        offset: int | None = None,
        limit: int | None = None,
    ) -> Predictions:
        """A page of the model's answers, by `row`, or the worst first with `sort="-loss"`."""
        query = {"sort": sort, "exact": exact, "offset": offset, "limit": limit}
        return await self._client.send(calls.evaluations.predictions(evaluation_id, **query))

    async def download_predictions(
        self, evaluation_id: object, target: Path, *, on_progress: ProgressCallback | None = None
    ) -> int:
        """Save every answer as JSON lines; returns the bytes written."""
        call = calls.evaluations.download_predictions(evaluation_id)
        return await self._client.save(call, target, on_progress=on_progress)

    async def curves(self, evaluation_id: object) -> Curves:
        """The training curves of the model, and its evaluations."""
        return await self._client.send(calls.evaluations.curves(evaluation_id))

    async def get(self, evaluation_id: object) -> Evaluation:
        """One evaluation."""
        return await self._client.send(calls.evaluations.get(evaluation_id))

    async def wait(
        self, evaluation_id: object, *, timeout_s: float = DAY_S, on_change: Callable[[Evaluation], None] | None = None
    ) -> Evaluation:
        """Wait for the end of an evaluation, and return it; raises WaitTimeoutError."""
        return await wait_until(
            lambda: self.get(evaluation_id),
            lambda evaluation: evaluation.is_finished,
            what=f"Evaluation {evaluation_id} did not end",
            timeout_s=timeout_s,
            on_change=on_change,
        )

    async def wait_for(self, *, model_id: str, dataset_id: str, timeout_s: float = 120.0) -> Evaluation:
        """Wait until the platform has created an evaluation of a model on a dataset; raises WaitTimeoutError."""
        return await wait_for_first(
            lambda: self.list(model_id=model_id, dataset_id=dataset_id),
            what=f"No evaluation of model {model_id} was created",
            timeout_s=timeout_s,
        )
