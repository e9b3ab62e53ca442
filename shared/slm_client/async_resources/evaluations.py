"""`client.evaluations`."""

from collections.abc import Callable, Sequence
from pathlib import Path

from slm_client import calls
from slm_client.async_resources.base import AsyncResource, poll
from slm_client.async_resources.experiments import DAY_S
from slm_client.calls import ProgressCallback
from slm_client.models import Curves, Evaluation, EvaluationComparison, Page, Predictions, Suites


class AsyncEvaluations(AsyncResource):
    """`client.evaluations`."""

    async def list(
        self,
        *,
        model_id: str | None = None,
        dataset_id: str | None = None,
        experiment_id: str | None = None,
        status: str | None = None,
        since: str | None = None,
        until: str | None = None,
        sort: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[Evaluation]:
        """A page of evaluations, newest first, or by `sort`; `since` and `until` are RFC 3339 times."""
        call = calls.list_evaluations(
            model_id=model_id,
            dataset_id=dataset_id,
            experiment_id=experiment_id,
            status=status,
            since=since,
            until=until,
            sort=sort,
            limit=limit,
            cursor=cursor,
        )
        return await self._client.send(call)

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
        """Queue an evaluation of a model on a dataset; the same question has one answer. `wait` tells how it went.

        `suite` names a benchmark suite, which then says what is measured (neither `metrics` nor `generations` with it).
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
        return await self._client.send(calls.create_evaluation(settings))

    async def suites(self) -> Suites:
        """The benchmark suites that may be asked for."""
        return await self._client.send(calls.evaluation_suites())

    async def cancel(self, evaluation_id: object) -> Evaluation:
        """Stop it: at once while it waits, within seconds while it runs."""
        return await self._client.send(calls.cancel_evaluation(evaluation_id))

    async def retry(self, evaluation_id: object) -> Evaluation:
        """Queue it again after it failed or was cancelled."""
        return await self._client.send(calls.retry_evaluation(evaluation_id))

    async def compare(self, first: object, second: object) -> EvaluationComparison:
        """Two evaluations of the same rows: every metric's difference, with its interval where rows are scored."""
        return await self._client.send(calls.compare_evaluations(first, second))

    async def predictions(
        self,
        evaluation_id: object,
        *,
        sort: str | None = None,
        exact: bool | None = None,
        offset: int | None = None,
        limit: int | None = None,
    ) -> Predictions:
        """A page of what the model answered, by `row`, or the worst first with `sort="-loss"`."""
        query = {"sort": sort, "exact": exact, "offset": offset, "limit": limit}
        return await self._client.send(calls.evaluation_predictions(evaluation_id, **query))

    async def download_predictions(
        self, evaluation_id: object, target: Path, *, on_progress: ProgressCallback | None = None
    ) -> int:
        """Save every answer as JSON lines; returns the bytes written."""
        call = calls.download_predictions(evaluation_id)
        return await self._client.save(call, target, on_progress=on_progress)

    async def curves(self, evaluation_id: object) -> Curves:
        """The loss curves of the training that made the model, beside what it scores."""
        return await self._client.send(calls.evaluation_curves(evaluation_id))

    async def get(self, evaluation_id: object) -> Evaluation:
        """One evaluation."""
        return await self._client.send(calls.get_evaluation(evaluation_id))

    async def wait(
        self, evaluation_id: object, *, timeout_s: float = DAY_S, on_change: Callable[[Evaluation], None] | None = None
    ) -> Evaluation:
        """The evaluation once it is completed or failed."""
        return await poll(
            lambda: self.get(evaluation_id),
            lambda evaluation: evaluation.is_finished,
            what=f"The end of evaluation {evaluation_id}",
            timeout_s=timeout_s,
            on_change=on_change,
        )

    async def wait_for(self, *, model_id: str, dataset_id: str, timeout_s: float = 120.0) -> Evaluation:
        """The evaluation of one model on one dataset, once the platform has begun it."""
        page = await poll(
            lambda: self.list(model_id=model_id, dataset_id=dataset_id),
            lambda page: bool(page.items),
            what=f"An evaluation of model {model_id}",
            timeout_s=timeout_s,
        )
        return page.items[0]
