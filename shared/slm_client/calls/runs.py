"""Requests about runs, their plans, workers and statistics."""

from collections.abc import Mapping
from typing import Any, Unpack

from slm_client.calls.base import Call, JsonObject, Nothing, PageFilters, address_of, given
from slm_client.models import Page, Plan, Run, Statistics, Workers


class RunFilters(PageFilters, total=False):
    """Which runs to list."""

    status: str | None
    tag: str | None
    owner: str | None
    q: str | None


def launch(settings: Mapping[str, Any], *, idempotency_key: str | None) -> Call[Run]:
    """Launch a run; `settings` is the body of `POST /api/runs`."""
    return Call("POST", "/api/runs", Run, json=given(**settings), idempotency_key=idempotency_key)


def page(**filters: Unpack[RunFilters]) -> Call[Page[Run]]:
    """A page of runs."""
    return Call("GET", "/api/runs", Page[Run], params=given(**filters))


def get(run_id: object) -> Call[Run]:
    """One run."""
    return Call("GET", address_of("runs", run_id), Run)


def edit(run_id: object, changes: Mapping[str, Any], *, version: int) -> Call[Run]:
    """Change a draft."""
    headers = {"If-Match": f'"{version}"'}
    return Call("PATCH", address_of("runs", run_id), Run, json=changes, headers=headers)


def remove(run_id: object) -> Call[Nothing]:
    """Remove a draft."""
    return Call("DELETE", address_of("runs", run_id), Nothing)


def control(run_id: object, verb: str) -> Call[Run]:
    """Apply a verb to a run: `start`, `pause`, `resume`, `cancel` or `reproduce`."""
    return Call("POST", address_of("runs", run_id, f":{verb}"), Run)


def clone(run_id: object, changes: Mapping[str, Any]) -> Call[Run]:
    """Launch a copy of a run, with changed settings."""
    return Call("POST", address_of("runs", run_id, ":clone"), Run, json=changes)


def set_priority(run_id: object, priority: int) -> Call[Run]:
    """Set the priority of a queued run."""
    return Call("PUT", address_of("runs", run_id, "/priority"), Run, json={"priority": priority})


def schema() -> Call[JsonObject]:
    """The JSON Schema of a configuration file."""
    return Call("GET", "/api/runs/schema", JsonObject)


def preflight(settings: Mapping[str, Any], *, wait_s: int) -> Call[Plan]:
    """Plan a run without launching it."""
    return Call("POST", "/api/runs:preflight", Plan, json=given(**settings), params={"wait_s": wait_s})


def plan(plan_id: object) -> Call[Plan]:
    """One plan."""
    return Call("GET", address_of("plans", plan_id), Plan)


def launch_plan(plan_id: object, *, idempotency_key: str | None) -> Call[Run]:
    """Launch the run that a plan describes."""
    return Call("POST", address_of("plans", plan_id, ":launch"), Run, idempotency_key=idempotency_key)


def workers() -> Call[Workers]:
    """The connected trainers."""
    return Call("GET", "/api/workers", Workers)


def statistics(*, since: str | None) -> Call[Statistics]:
    """Training statistics."""
    return Call("GET", "/api/statistics", Statistics, params=given(since=since))
