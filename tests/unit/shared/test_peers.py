"""Asking another service, where this machine is what fails."""

from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from slm_shared.errors import is_disk_full
from slm_shared.peers import Peer
from slm_shared.settings import PlatformSettings
from slm_testing.apps import serving

FULL = Path("/dev/full")


async def _file(_: Request) -> PlainTextResponse:
    return PlainTextResponse("some bytes")


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
async def test_a_full_disk_is_not_blamed_on_the_service_that_answered() -> None:
    async with serving(Starlette(routes=[Route("/file", _file)])) as url:
        peer = Peer(PlatformSettings(datasets_url=url), service="datasets")
        with pytest.raises(OSError, match="No space left") as caught:
            await peer.download("/file", FULL, max_bytes=100)
        await peer.close()
    assert is_disk_full(caught.value)
