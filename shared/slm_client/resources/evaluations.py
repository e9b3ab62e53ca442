"""`client.evaluations`."""

from collections.abc import Callable

from slm_client import calls
from slm_client.models import Evaluation, Page
from slm_client.resources.base import Resource, poll
from slm_client.resources.experiments import DAY_S


class Evaluations(Resource):
    """`client.evaluations`."""

    def list(
        self,
        *,
        model_id: str | None = None,
        dataset_id: str | None = None,
        status: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[Evaluation]:
        """A page of evaluations, newest first."""
        call = calls.list_evaluations(
            model_id=model_id, dataset_id=dataset_id, status=status, limit=limit, cursor=cursor
        )
        return self._client.send(call)

    def get(self, evaluation_id: object) -> Evaluation:
        """One evaluation."""
        return self._client.send(calls.get_evaluation(evaluation_id))

    def wait(
        self, evaluation_id: object, *, timeout_s: float = DAY_S, on_change: Callable[[Evaluation], None] | None = None
    ) -> Evaluation:
        """The evaluation once it is completed or failed."""
        return poll(
            lambda: self.get(evaluation_id),
            lambda evaluation: evaluation.is_finished,
            what=f"The end of evaluation {evaluation_id}",
            timeout_s=timeout_s,
            on_change=on_change,
        )

    def wait_for(self, *, model_id: str, dataset_id: str, timeout_s: float = 120.0) -> Evaluation:
        """The evaluation of one model on one dataset, once the platform has begun it."""
        page = poll(
            lambda: self.list(model_id=model_id, dataset_id=dataset_id),
            lambda page: bool(page.items),
            what=f"An evaluation of model {model_id}",
            timeout_s=timeout_s,
        )
        return page.items[0]
