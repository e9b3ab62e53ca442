"""Requests about experiments."""

from collections.abc import Sequence
from typing import Unpack

from slm_client.calls.base import Call, Nothing, PageFilters, address_of, given
from slm_client.models import Checkpoints, Comparison, Drift, Experiment, Log, Metrics, Page


class ExperimentFilters(PageFilters, total=False):
    """Which experiments to list."""

    status: str | None
    dataset_id: str | None
    base_model_id: str | None
    tag: str | None
    owner: str | None
    q: str | None


def page(**filters: Unpack[ExperimentFilters]) -> Call[Page[Experiment]]:
    """A page of experiments."""
    return Call("GET", "/api/experiments", Page[Experiment], params=given(**filters))


def get(experiment_id: object) -> Call[Experiment]:
    """One experiment."""
    return Call("GET", address_of("experiments", experiment_id), Experiment)


def metrics(experiment_id: object, *, name: str | None, points: int | None = None) -> Call[Metrics]:
    """The metric series of an experiment, all points or at most `points` of each."""
    params = given(name=name, points=points)
    return Call("GET", address_of("experiments", experiment_id, "/metrics"), Metrics, params=params)


def log(
    experiment_id: object, *, limit: int, after: int, levels: Sequence[str] = (), q: str | None = None
) -> Call[Log]:
    """The last lines of an experiment's log, or those after the line `after`; only some levels, or with a text."""
    params = given(limit=limit, after=after, level=list(levels) or None, q=q)
    return Call("GET", address_of("experiments", experiment_id, "/log"), Log, params=params)


def checkpoints(experiment_id: object) -> Call[Checkpoints]:
    """The checkpoints of an experiment."""
    return Call("GET", address_of("experiments", experiment_id, "/checkpoints"), Checkpoints)


def drift(experiment_id: object) -> Call[Drift]:
    """How a reproduction differs from its original."""
    return Call("GET", address_of("experiments", experiment_id, "/drift"), Drift)


def compare(ids: Sequence[object], *, names: Sequence[str], points: int) -> Call[Comparison]:
    """Experiments side by side."""
    params = given(id=[str(each) for each in ids], name=list(names) or None, points=points)
    return Call("GET", "/api/experiments:compare", Comparison, params=params)


def live(experiment_id: object) -> Call[Nothing]:
    """The live view of an experiment, as server-sent events."""
    return Call("GET", address_of("experiments", experiment_id, "/live"), Nothing)
