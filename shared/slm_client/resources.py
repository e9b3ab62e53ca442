"""The synchronous client's methods by resource: each takes what its endpoint takes and returns its typed answer."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

from slm_client import calls
from slm_client.calls import Call, JsonObject, ProgressCallback
from slm_client.models import Dataset, Evaluation, Experiment, Lineage, Log, Metrics, Model, Page, Preview, Run
from slm_client.waiting import POLL_S, pauses

T = TypeVar("T")
DAY_S = 86_400.0


class Sender(Protocol):
    """What a resource needs of its client."""

    def send(self, call: Call[T]) -> T:
        """Send one request and read its answer."""

    def save(self, call: Call[Any], target: Path, *, on_progress: ProgressCallback | None = None) -> int:
        """Stream an answer into a file."""


def _poll(
    look: Callable[[], T],
    until: Callable[[T], bool],
    *,
    what: str,
    timeout_s: float,
    poll_s: float = POLL_S,
    on_change: Callable[[T], None] | None = None,
) -> T:
    for pause_s in pauses(what, timeout_s=timeout_s, poll_s=poll_s):
        seen = look()
        if on_change:
            on_change(seen)
        if until(seen):
            return seen
        time.sleep(pause_s)
    raise AssertionError("unreachable")


class _Resource:
    def __init__(self, client: Sender) -> None:
        self._client = client


class Datasets(_Resource):
    """`client.datasets`; a reference is an id, a `<family>-v<n>` or a family (its latest version)."""

    def upload(
        self,
        path: Path,
        *,
        usage: str = "training",
        name: str | None = None,
        description: str | None = None,
        prompt_column: str | None = None,
        completion_column: str | None = None,
        on_progress: ProgressCallback | None = None,
    ) -> Dataset:
        """Send a file; the answer is `in_progress` and `wait` tells how it went. `on_progress` gets bytes sent."""
        return self._client.send(
            calls.upload_dataset(
                path,
                name=name,
                usage=usage,
                description=description,
                prompt_column=prompt_column,
                completion_column=completion_column,
                on_progress=on_progress,
            )
        )

    def list(
        self,
        *,
        usage: str | None = None,
        status: str | None = None,
        q: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[Dataset]:
        """A page of datasets, newest first."""
        return self._client.send(calls.list_datasets(usage=usage, status=status, q=q, limit=limit, cursor=cursor))

    def get(self, reference: object) -> Dataset:
        """One dataset."""
        return self._client.send(calls.get_dataset(reference))

    def preview(self, reference: object, *, offset: int = 0, limit: int = 20) -> Preview:
        """Rows `offset` to `offset + limit` of a processed dataset."""
        return self._client.send(calls.preview_dataset(reference, offset=offset, limit=limit))

    def download(
        self, reference: object, target: Path, *, file_format: str = "raw", on_progress: ProgressCallback | None = None
    ) -> int:
        """Save a dataset as `raw` (the uploaded file), `parquet`, `jsonl` or `csv`; returns the bytes written."""
        call = calls.download_dataset(reference, file_format=file_format)
        return self._client.save(call, target, on_progress=on_progress)

    def delete(self, reference: object) -> None:
        """Take a dataset version away from new work; models made of it keep their record."""
        self._client.send(calls.delete_dataset(reference))

    def wait(
        self, reference: object, *, timeout_s: float = 600.0, on_change: Callable[[Dataset], None] | None = None
    ) -> Dataset:
        """The dataset once it is `processed` or `error`; raises WaitTimeoutError."""
        return _poll(
            lambda: self.get(reference),
            lambda dataset: dataset.status != "in_progress",
            what=f"Processing of dataset {reference}",
            timeout_s=timeout_s,
            on_change=on_change,
        )


class Runs(_Resource):
    """`client.runs`."""

    def launch(self, settings: Mapping[str, Any]) -> Run:
        """Queue a training; `settings` is the body of `POST /api/runs`, values of None are left to the platform."""
        return self._client.send(calls.launch_run(settings))

    def list(
        self,
        *,
        status: str | None = None,
        q: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[Run]:
        """A page of runs, newest first."""
        return self._client.send(calls.list_runs(status=status, q=q, limit=limit, cursor=cursor))

    def get(self, run_id: object) -> Run:
        """One run."""
        return self._client.send(calls.get_run(run_id))

    def cancel(self, run_id: object) -> Run:
        """Stop a run; what it had trained is not kept."""
        return self._client.send(calls.cancel_run(run_id))


class Experiments(_Resource):
    """`client.experiments`."""

    def list(
        self,
        *,
        status: str | None = None,
        dataset_id: str | None = None,
        base_model_id: str | None = None,
        q: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[Experiment]:
        """A page of experiments, newest first."""
        call = calls.list_experiments(
            status=status, dataset_id=dataset_id, base_model_id=base_model_id, q=q, limit=limit, cursor=cursor
        )
        return self._client.send(call)

    def get(self, experiment_id: object) -> Experiment:
        """One experiment."""
        return self._client.send(calls.get_experiment(experiment_id))

    def metrics(self, experiment_id: object, *, name: str | None = None) -> Metrics:
        """Its metric series, all or the one called `name`."""
        return self._client.send(calls.experiment_metrics(experiment_id, name=name))

    def log(self, experiment_id: object, *, limit: int = 200, after: int = 0) -> Log:
        """The last lines of its log, or those behind the line whose `seq` is `after`."""
        return self._client.send(calls.experiment_log(experiment_id, limit=limit, after=after))

    def wait(
        self,
        experiment_id: object,
        *,
        timeout_s: float = DAY_S,
        until: Callable[[Experiment], bool] = lambda experiment: experiment.is_finished,
        on_change: Callable[[Experiment], None] | None = None,
    ) -> Experiment:
        """The experiment once it has ended (or `until` says so); `on_change` sees every look at it."""
        return _poll(
            lambda: self.get(experiment_id),
            until,
            what=f"The end of experiment {experiment_id}",
            timeout_s=timeout_s,
            on_change=on_change,
        )


class Models(_Resource):
    """`client.models`; a reference is an id, a `<family>-v<n>` or a family (its latest version)."""

    def list(
        self,
        *,
        kind: str | None = None,
        family: str | None = None,
        experiment_id: str | None = None,
        q: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[Model]:
        """A page of models, newest first."""
        call = calls.list_models(kind=kind, family=family, experiment_id=experiment_id, q=q, limit=limit, cursor=cursor)
        return self._client.send(call)

    def get(self, reference: object) -> Model:
        """One model."""
        return self._client.send(calls.get_model(reference))

    def card(self, reference: object) -> JsonObject:
        """Its card: what it is, was made from and scores."""
        return self._client.send(calls.model_card(reference))

    def card_markdown(self, reference: object) -> str:
        """Its card as markdown."""
        return self._client.send(calls.model_card_markdown(reference))

    def lineage(self, reference: object) -> Lineage:
        """Dataset, run, experiment, model and evaluations, and how they hang together."""
        return self._client.send(calls.model_lineage(reference))

    def download(self, reference: object, target: Path, *, on_progress: ProgressCallback | None = None) -> int:
        """Save its files as one tar archive; returns the bytes written."""
        return self._client.save(calls.download_model(reference), target, on_progress=on_progress)

    def wait_for_experiment(self, experiment_id: str, *, timeout_s: float = 120.0) -> Model:
        """The model that came of an experiment, once the registry has it."""
        page = _poll(
            lambda: self.list(experiment_id=experiment_id),
            lambda page: bool(page.items),
            what=f"Registration of the model of experiment {experiment_id}",
            timeout_s=timeout_s,
        )
        return page.items[0]


class Evaluations(_Resource):
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
        return _poll(
            lambda: self.get(evaluation_id),
            lambda evaluation: evaluation.is_finished,
            what=f"The end of evaluation {evaluation_id}",
            timeout_s=timeout_s,
            on_change=on_change,
        )

    def wait_for(self, *, model_id: str, dataset_id: str, timeout_s: float = 120.0) -> Evaluation:
        """The evaluation of one model on one dataset, once the platform has begun it."""
        page = _poll(
            lambda: self.list(model_id=model_id, dataset_id=dataset_id),
            lambda page: bool(page.items),
            what=f"An evaluation of model {model_id}",
            timeout_s=timeout_s,
        )
        return page.items[0]
