"""A small platform on loopback that behaves as each test needs: what the client meets is real HTTP."""

from collections.abc import AsyncIterator

import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from slm_client import AsyncSlmClient, SlmClient
from slm_testing.apps import serving
from tests.support.clients import Ask
from tests.support.fake_platform import FakePlatform


@pytest.fixture(scope="session")
async def _served() -> AsyncIterator[FakePlatform]:
    fake = FakePlatform()
    methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]
    async with serving(Starlette(routes=[Route("/{path:path}", fake.answer, methods=methods)])) as fake.address:
        yield fake


@pytest.fixture
def platform(_served: FakePlatform) -> FakePlatform:
    """A platform that answers whatever it is told to."""
    _served.script.clear()
    _served.asked.clear()
    return _served


@pytest.fixture(params=[AsyncSlmClient, SlmClient], ids=["asynchronous", "synchronous"])
def ask(request: pytest.FixtureRequest, platform: FakePlatform) -> Ask:
    """Asks the platform through one of the clients; a test that takes this runs with each."""
    return Ask(platform.address, request.param)
