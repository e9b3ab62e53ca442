"""Requests about experiments."""

from slm_client.calls.base import Call, address_of, given
from slm_client.models import (
    Experiment,
    Log,
    Metrics,
    Page,
)


def list_experiments(**filters: str | int | None) -> Call[Page[Experiment]]:
    """A page of experiments."""
    return Call("GET", "/api/experiments", Page[Experiment], params=given(**filters))


def get_experiment(experiment_id: object) -> Call[Experiment]:
    """One experiment."""
    return Call("GET", address_of("experiments", experiment_id), Experiment)


def experiment_metrics(experiment_id: object, *, name: str | None) -> Call[Metrics]:
    """The metric series of an experiment."""
    return Call("GET", address_of("experiments", experiment_id, suffix="/metrics"), Metrics, params=given(name=name))


def experiment_log(experiment_id: object, *, limit: int, after: int) -> Call[Log]:
    """The last lines of an experiment's log."""
    return Call(
        "GET", address_of("experiments", experiment_id, suffix="/log"), Log, params={"limit": limit, "after": after}
    )
