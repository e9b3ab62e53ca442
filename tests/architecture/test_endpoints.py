"""What holds for every endpoint of every service, read off the assembled apps."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant

import slm_datasets.app
import slm_evaluation.app
import slm_gateway.app
import slm_registry.app
import slm_training.app
from slm_datasets.settings import DatasetsSettings
from slm_evaluation.settings import EvaluationSettings
from slm_gateway.settings import GatewaySettings
from slm_registry.settings import RegistrySettings
from slm_shared.http.access import routes_of
from slm_shared.settings import ServiceSettings
from slm_training.settings import TrainingSettings
from tests.support.source import SERVICES

APPS: dict[str, tuple[Callable[[Any], FastAPI], type[ServiceSettings]]] = {
    "datasets": (slm_datasets.app.create_app, DatasetsSettings),
    "evaluation": (slm_evaluation.app.create_app, EvaluationSettings),
    "gateway": (slm_gateway.app.create_app, GatewaySettings),
    "registry": (slm_registry.app.create_app, RegistrySettings),
    "training": (slm_training.app.create_app, TrainingSettings),
}


def _called(dependant: Dependant) -> Iterator[object]:
    yield dependant.call
    for each in dependant.dependencies:
        yield from _called(each)


def _runs_in_the_event_loop(call: object) -> bool:
    if not inspect.isroutine(call):
        call = getattr(call, "__call__", call)  # noqa: B004  an object with `async def __call__`
    return inspect.iscoroutinefunction(call) or inspect.isasyncgenfunction(call)


@pytest.mark.parametrize("service", SERVICES)
def test_endpoints_and_what_they_ask_for_run_in_the_event_loop(service: str) -> None:
    """FastAPI gives plain functions and classes to a thread: 0.3 ms for each of them, in each request."""
    create_app, settings = APPS[service]
    routes = routes_of(create_app(settings(port=0)))
    assert routes
    in_threads = {
        f"{path}: {call}"
        for path, route in routes
        for call in _called(route.dependant)
        if not _runs_in_the_event_loop(call)
    }
    assert in_threads == set()
