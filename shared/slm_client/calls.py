"""Every request of the public REST API, as data; the two clients only differ in how they send it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from slm_client.models import (
    Answer,
    Dataset,
    Evaluation,
    Experiment,
    Lineage,
    Log,
    Metrics,
    Model,
    Overview,
    Page,
    Preview,
    Run,
)

T = TypeVar("T")
ProgressCallback = Callable[[int], None]
"""Called with the number of bytes that went over the wire since the last call."""


class JsonObject(Answer):
    """An answer whose shape this client passes on as it is, e.g. a model card."""

    def content(self) -> dict[str, Any]:
        """The object as it was answered."""
        return dict(self.model_extra or {})


class Nothing(Answer):
    """The answer of a request that has none (204)."""


@dataclass(frozen=True)
class Upload:
    """A file to send as the multipart part `file`, under `filename`."""

    path: Path
    filename: str
    fields: Mapping[str, str] = field(default_factory=dict)
    on_progress: ProgressCallback | None = None


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request and the type of its answer."""

    method: str
    path: str
    answer: type[T]
    params: Mapping[str, str | int] = field(default_factory=dict)
    json: Mapping[str, Any] | None = None
    upload: Upload | None = None


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _one(collection: str, reference: object, *, suffix: str = "") -> str:
    return f"/api/{collection}/{quote(str(reference), safe='')}{suffix}"


def upload_dataset(
    path: Path,
    *,
    name: str | None,
    usage: str,
    description: str | None,
    prompt_column: str | None,
    completion_column: str | None,
    on_progress: ProgressCallback | None,
) -> Call[Dataset]:
    """Send a file as a new dataset version."""
    fields = _given(
        name=name or path.stem,
        usage=usage,
        description=description,
        prompt_column=prompt_column,
        completion_column=completion_column,
    )
    upload = Upload(path, path.name, fields, on_progress)
    return Call("POST", "/api/datasets", Dataset, upload=upload)


def list_datasets(**filters: str | int | None) -> Call[Page[Dataset]]:
    """A page of datasets."""
    return Call("GET", "/api/datasets", Page[Dataset], params=_given(**filters))


def get_dataset(reference: object) -> Call[Dataset]:
    """One dataset by id, `<family>-v<n>` or family."""
    return Call("GET", _one("datasets", reference), Dataset)


def preview_dataset(reference: object, *, offset: int, limit: int) -> Call[Preview]:
    """A few rows of a processed dataset."""
    return Call(
        "GET", _one("datasets", reference, suffix="/preview"), Preview, params={"offset": offset, "limit": limit}
    )


def delete_dataset(reference: object) -> Call[Nothing]:
    """Take a dataset version away from new work."""
    return Call("DELETE", _one("datasets", reference), Nothing)


def download_dataset(reference: object, *, file_format: str) -> Call[Nothing]:
    """The bytes of a dataset."""
    return Call("GET", _one("datasets", reference, suffix="/download"), Nothing, params={"format": file_format})


def launch_run(settings: Mapping[str, Any]) -> Call[Run]:
    """Queue a training; `settings` is the body of `POST /api/runs`."""
    return Call("POST", "/api/runs", Run, json=_given(**settings))


def list_runs(**filters: str | int | None) -> Call[Page[Run]]:
    """A page of runs."""
    return Call("GET", "/api/runs", Page[Run], params=_given(**filters))


def get_run(run_id: object) -> Call[Run]:
    """One run."""
    return Call("GET", _one("runs", run_id), Run)


def cancel_run(run_id: object) -> Call[Run]:
    """Stop a run."""
    return Call("POST", _one("runs", run_id, suffix=":cancel"), Run)


def list_experiments(**filters: str | int | None) -> Call[Page[Experiment]]:
    """A page of experiments."""
    return Call("GET", "/api/experiments", Page[Experiment], params=_given(**filters))


def get_experiment(experiment_id: object) -> Call[Experiment]:
    """One experiment."""
    return Call("GET", _one("experiments", experiment_id), Experiment)


def experiment_metrics(experiment_id: object, *, name: str | None) -> Call[Metrics]:
    """The metric series of an experiment."""
    return Call("GET", _one("experiments", experiment_id, suffix="/metrics"), Metrics, params=_given(name=name))


def experiment_log(experiment_id: object, *, limit: int, after: int) -> Call[Log]:
    """The last lines of an experiment's log."""
    return Call("GET", _one("experiments", experiment_id, suffix="/log"), Log, params={"limit": limit, "after": after})


def list_models(**filters: str | int | None) -> Call[Page[Model]]:
    """A page of models."""
    return Call("GET", "/api/models", Page[Model], params=_given(**filters))


def get_model(reference: object) -> Call[Model]:
    """One model by id, `<family>-v<n>` or family."""
    return Call("GET", _one("models", reference), Model)


def model_card(reference: object) -> Call[JsonObject]:
    """What a model is, was made from and scores."""
    return Call("GET", _one("models", reference, suffix="/card"), JsonObject)


def model_card_markdown(reference: object) -> Call[str]:
    """The card as markdown."""
    return Call("GET", _one("models", reference, suffix="/card"), str, params={"format": "markdown"})


def model_lineage(reference: object) -> Call[Lineage]:
    """Where a model comes from and what was measured of it."""
    return Call("GET", _one("models", reference, suffix="/lineage"), Lineage)


def download_model(reference: object) -> Call[Nothing]:
    """The files of a model in one archive."""
    return Call("GET", _one("models", reference, suffix="/download"), Nothing)


def list_evaluations(**filters: str | int | None) -> Call[Page[Evaluation]]:
    """A page of evaluations."""
    return Call("GET", "/api/evaluations", Page[Evaluation], params=_given(**filters))


def get_evaluation(evaluation_id: object) -> Call[Evaluation]:
    """One evaluation."""
    return Call("GET", _one("evaluations", evaluation_id), Evaluation)


def overview() -> Call[Overview]:
    """The platform at a glance."""
    return Call("GET", "/api/overview", Overview)
