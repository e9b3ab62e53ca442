"""The API's documentation page, from files of an installed package: it works without the internet."""

import importlib.util
from pathlib import Path

from starlette.responses import FileResponse, HTMLResponse, Response

from slm_gateway.errors import RouteNotFoundError
from slm_shared.http.access import Public
from slm_shared.http.routing import router

ASSETS = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "favicon.png": "image/png",
}
START = """window.onload = () => SwaggerUIBundle({
  url: "/api/openapi.json", dom_id: "#docs", deepLinking: true, docExpansion: "list", tryItOutEnabled: true,
});
"""
PAGE = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>SLM Platform API</title>
  <link rel="icon" href="/api/docs/favicon.png">
  <link rel="stylesheet" href="/api/docs/swagger-ui.css">
</head>
<body>
  <div id="docs"></div>
  <script src="/api/docs/swagger-ui-bundle.js"></script>
  <script src="/api/docs/start.js"></script>
</body>
</html>
"""
SECURITY = {
    "Content-Security-Policy": (
        "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
}
CACHED = {"Cache-Control": "public, max-age=86400", "X-Content-Type-Options": "nosniff"}

routes = router(tags=["platform"])


def _asset_folder() -> Path:
    """Where the package `fastapi-offline` keeps Swagger UI; nothing of it is imported."""
    spec = importlib.util.find_spec("fastapi_offline")
    if spec is None or spec.origin is None:
        raise RuntimeError("Swagger UI is not installed; install slm-platform[gateway]")
    return Path(spec.origin).parent / "static"


@routes.get("/api/docs", include_in_schema=False)
async def page(_: Public) -> HTMLResponse:
    """The page itself."""
    return HTMLResponse(PAGE, headers=SECURITY)


@routes.get("/api/docs/start.js", include_in_schema=False)
async def start(_: Public) -> Response:
    """What starts Swagger UI; a file of its own, so that the page needs no inline script."""
    return Response(START, media_type="text/javascript", headers=SECURITY)


@routes.get("/api/docs/{name}", include_in_schema=False)
async def asset(name: str, _: Public) -> FileResponse:
    """One of the files the page needs."""
    if name not in ASSETS:
        raise RouteNotFoundError("There is no such file.")
    return FileResponse(_asset_folder() / name, media_type=ASSETS[name], headers=CACHED)
