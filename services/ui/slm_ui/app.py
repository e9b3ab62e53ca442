"""The composition root: Streamlit's own application, with what a script cannot serve beside it."""

from pathlib import Path
from typing import Any

import streamlit as st
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from slm_ui.downloads import download_routes
from slm_ui.preloading import Preloads
from slm_ui.security import SecurityHeaders
from slm_ui.settings import UiSettings
from slm_ui.theme import theme_options

SCRIPT = Path(__file__).parent / "console.py"


def create_app(settings: UiSettings) -> st.App:
    """The console as one ASGI application; it begins no connection before somebody asks."""
    return st.App(
        SCRIPT,
        routes=[Route("/readyz", _ready), *download_routes(settings.gateway_url)],
        middleware=[Middleware(SecurityHeaders, allowed_hosts=settings.allowed_hosts), Middleware(Preloads)],
    )


def options(settings: UiSettings) -> dict[str, Any]:
    """Streamlit's settings: nothing is sent to anybody, nothing is loaded from elsewhere, no trace shown to users."""
    return {
        "server.address": settings.host,
        "server.port": settings.port,
        "server.headless": True,
        "server.fileWatcherType": "none",
        "server.runOnSave": False,
        "server.maxUploadSize": settings.max_upload_mb,
        "server.allowedHosts": settings.allowed_hosts,
        "server.disconnectedSessionTTL": 60,
        "browser.gatherUsageStats": False,
        "browser.serverAddress": "127.0.0.1",
        "client.toolbarMode": "minimal",
        "client.showErrorDetails": "none",
        "client.showErrorLinks": False,
        "runner.magicEnabled": False,
        "logger.level": "warning",
        "logger.hideWelcomeMessage": True,
        **theme_options(),
    }


async def _ready(_: Request) -> PlainTextResponse:
    return PlainTextResponse("ready")
