"""The whole platform on this machine, started once for all tests of this folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from slm_client import SlmClient
from tests.support.launched import LaunchedStack
from tests.support.otlp import Collector, collecting


@pytest.fixture(scope="session")
def stack_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the stack keeps its data."""
    return tmp_path_factory.mktemp("stack")


@pytest.fixture(scope="session")
def collector() -> Iterator[Collector]:
    """What the processes of the stack export."""
    with collecting() as running:
        yield running


@pytest.fixture(scope="session")
def stack(stack_folder: Path, collector: Collector) -> Iterator[str]:
    """The address of the gateway of a fresh stack."""
    exporting = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, "OTEL_METRIC_EXPORT_INTERVAL": "2000"}
    launched = LaunchedStack(stack_folder, variables=exporting)
    launched.start()
    try:
        yield launched.record.gateway_url
    finally:
        launched.stop()


@pytest.fixture(scope="session")
def client(stack: str) -> Iterator[SlmClient]:
    """A client of that stack."""
    with SlmClient(stack) as connected:
        yield connected
