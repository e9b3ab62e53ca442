"""The composition root: Streamlit's own application, with what a script cannot serve beside it."""

from pathlib import Path
from typing import Any

import streamlit as st
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from slm_ui.downloads import download_routes
from slm_ui.preloading import later_scripts
from slm_ui.security import ResponseHeaders
from slm_ui.settings import UiSettings
from slm_ui.theme import theme_options

SCRIPT = Path(__file__).parent / "console.py"


def create_app(settings: UiSettings) -> st.App:
    """The console as one ASGI application; it begins no connection before somebody asks."""
    headers = Middleware(ResponseHeaders, allowed_hosts=settings.allowed_hosts, preloaded=later_scripts())
    return st.App(
        SCRIPT,
        routes=[Route("/readyz", _ready), *download_routes(settings.gateway_url)],
        middleware=[headers],
    )


def options(settings: UiSettings) -> dict[str, Any]:
    """Streamlit's settings: nothing is sent to anybody, nothing is loaded from elsewhere, no trace shown to users."""
    return {
        "server.address": settings.host,
        "server.port": settings.port,
        "server.headless": True,
        # Nobody edits the code of a console that runs.
        "server.fileWatcherType": "none",
        "server.runOnSave": False,
        "server.maxUploadSize": settings.max_upload_mb,
        "server.allowedHosts": settings.allowed_hosts,
        # A laptop that sleeps for a moment finds its session again; an uploaded file is not held for longer.
        "server.disconnectedSessionTTL": 60,
        "browser.gatherUsageStats": False,
        "browser.serverAddress": "127.0.0.1",
        "client.toolbarMode": "minimal",
        # A trace would show paths and settings of the server to whoever made it fail.
        "client.showErrorDetails": "none",
        "client.showErrorLinks": False,
        "runner.magicEnabled": False,
        "logger.level": "warning",
        "logger.hideWelcomeMessage": True,
        **theme_options(),
    }


async def _ready(_: Request) -> PlainTextResponse:
    return PlainTextResponse("ready")
