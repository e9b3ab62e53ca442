"""Requests about experiments."""

from collections.abc import Sequence

from slm_client.calls.base import Call, Nothing, address_of, given
from slm_client.models import Checkpoints, Comparison, Drift, Experiment, Log, Metrics, Page


def list_experiments(**filters: str | int | None) -> Call[Page[Experiment]]:
    """A page of experiments."""
    return Call("GET", "/api/experiments", Page[Experiment], params=given(**filters))


def get_experiment(experiment_id: object) -> Call[Experiment]:
    """One experiment."""
    return Call("GET", address_of("experiments", experiment_id), Experiment)


def experiment_metrics(experiment_id: object, *, name: str | None, points: int | None = None) -> Call[Metrics]:
    """The metric series of an experiment, raw or thinned out to so many points each."""
    params = given(name=name, points=points)
    return Call("GET", address_of("experiments", experiment_id, suffix="/metrics"), Metrics, params=params)


def experiment_log(
    experiment_id: object, *, limit: int, after: int, levels: Sequence[str] = (), q: str | None = None
) -> Call[Log]:
    """The last lines of an experiment's log, of these levels and with this text."""
    params = given(limit=limit, after=after, level=list(levels) or None, q=q)
    return Call("GET", address_of("experiments", experiment_id, suffix="/log"), Log, params=params)


def experiment_checkpoints(experiment_id: object) -> Call[Checkpoints]:
    """The checkpoints of an experiment."""
    return Call("GET", address_of("experiments", experiment_id, suffix="/checkpoints"), Checkpoints)


def experiment_drift(experiment_id: object) -> Call[Drift]:
    """How a reproduction differs from its original."""
    return Call("GET", address_of("experiments", experiment_id, suffix="/drift"), Drift)


def compare_experiments(ids: Sequence[object], *, names: Sequence[str], points: int) -> Call[Comparison]:
    """Experiments side by side."""
    params = given(id=[str(each) for each in ids], name=list(names) or None, points=points)
    return Call("GET", "/api/experiments:compare", Comparison, params=params)


def experiment_live(experiment_id: object) -> Call[Nothing]:
    """The live view of an experiment, as server-sent events."""
    return Call("GET", address_of("experiments", experiment_id, suffix="/live"), Nothing)
