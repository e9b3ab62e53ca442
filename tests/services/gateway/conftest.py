"""The gateway in front of small services on loopback."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx2
import pytest

from slm_gateway.app import create_app
from slm_gateway.settings import GatewaySettings
from slm_shared.identity.keys import generate_keys
from slm_shared.identity.principal import Verifier
from slm_shared.settings import PlatformSettings
from slm_testing.apps import serving
from tests.support.gateway import Gateway, RecordingService

NOBODY = "http://127.0.0.1:9"


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of signing keys."""
    folder = tmp_path_factory.mktemp("gateway-keys")
    generate_keys(folder)
    return folder


@pytest.fixture
async def service(keys: Path) -> AsyncIterator[RecordingService]:
    """The training service, as far as the gateway can tell."""
    verifier = Verifier(keys / "principals.json", audience="training")
    double = RecordingService("training", verifier)
    async with serving(double) as double.address:
        yield double


@pytest.fixture
async def gateway(keys: Path) -> AsyncIterator[Gateway]:
    """`await gateway(training_url=…)`: a client of a running gateway; services not named do not answer."""
    async with AsyncExitStack() as stack:

        async def start(**addresses: str) -> httpx2.AsyncClient:
            return await stack.enter_async_context(running_gateway(keys, **addresses))

        yield start


@asynccontextmanager
async def running_gateway(keys: Path, **addresses: str) -> AsyncIterator[httpx2.AsyncClient]:
    """A running gateway's client."""
    urls = {f"{name}_url": NOBODY for name in ("datasets", "training", "registry", "evaluation")}
    platform = PlatformSettings(
        **{"nats_url": "nats://127.0.0.1:9", **urls, **addresses},  # type: ignore[arg-type]
        principal_keys=keys / "principals.json",
        signing_key=keys / "gateway.json",
    )
    app = create_app(GatewaySettings(platform=platform, port=0))
    async with serving(app) as address, httpx2.AsyncClient(base_url=address, timeout=10) as client:
        yield client
