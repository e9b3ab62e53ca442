"""Requests about runs."""

from collections.abc import Mapping
from typing import Any

from slm_client.calls.base import Call, address_of, given
from slm_client.models import (
    Page,
    Run,
)


def launch_run(settings: Mapping[str, Any]) -> Call[Run]:
    """Queue a training; `settings` is the body of `POST /api/runs`."""
    return Call("POST", "/api/runs", Run, json=given(**settings))


def list_runs(**filters: str | int | None) -> Call[Page[Run]]:
    """A page of runs."""
    return Call("GET", "/api/runs", Page[Run], params=given(**filters))


def get_run(run_id: object) -> Call[Run]:
    """One run."""
    return Call("GET", address_of("runs", run_id), Run)


def cancel_run(run_id: object) -> Call[Run]:
    """Stop a run."""
    return Call("POST", address_of("runs", run_id, suffix=":cancel"), Run)
