"""Which headers every answer of the console has, and which requests it refuses."""

import base64
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

import streamlit
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

INDEX = Path(streamlit.__file__).parent / "static" / "index.html"
INLINE_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def _hashes(page: str) -> str:
    """What allows exactly the inline scripts of a page (https://www.w3.org/TR/CSP3/#grammardef-hash-source)."""
    scripts = INLINE_SCRIPT.findall(page)
    digests = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    return " ".join(f"'sha256-{digest}'" for digest in digests)


# Everything comes from the console itself. Streamlit writes its styles inline, loads the scripts of components as
# blobs, and Vega evaluates the expressions of charts.
POLICY = "; ".join(
    (
        "default-src 'self'",
        f"script-src 'self' {_hashes(INDEX.read_text())} 'unsafe-eval' 'wasm-unsafe-eval' blob: data:",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self' ws: wss:",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}


class ResponseHeaders:
    """Adds `HEADERS`, and to pages a `Link` to the scripts in `preloaded`; refuses requests under a name that is not
    allowed (DNS rebinding).
    """

    def __init__(self, app: ASGIApp, *, allowed_hosts: Sequence[str], preloaded: Sequence[str]) -> None:
        self._app = app
        self._allowed = frozenset(allowed_hosts)
        # https://html.spec.whatwg.org/multipage/links.html#link-type-modulepreload
        self._link = ", ".join(f"<./static/js/{name}>; rel=modulepreload" for name in preloaded)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._allowed and _host_of(scope) not in self._allowed:
            refusal = PlainTextResponse("This console answers only under the names of its own machine.\n", 421)
            await refusal(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                if self._link and headers.get("content-type", "").startswith("text/html"):
                    headers["link"] = self._link
            await send(message)

        await self._app(scope, receive, send_with_headers)


def _host_of(scope: Scope) -> str:
    """The name a request came under, without its port.

    >>> _host_of({"headers": [(b"host", b"[::1]:8501")]})
    '::1'
    """
    host = Headers(scope=scope).get("host", "").lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if ":" in host else host
