"""Tells a browser beside the page which scripts it will need, so that it fetches them while it still starts the page.

Otherwise it learns of them only once the first elements of a page have arrived, and fetches them in a second round.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import streamlit
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

STATIC = Path(streamlit.__file__).parent / "static"
SCRIPTS = STATIC / "static" / "js"
# What almost every page of the console shows: its own view, fields, lists and buttons.
ELEMENTS = ("BidiComponent", "Html", "Button", "TextInput", "Selectbox")
IMPORTED = re.compile(r"""(?:from|import)\s*["']\./([\w.$-]+\.js)["']""")


class Preloads:
    """Adds a `Link` header to pages (https://html.spec.whatwg.org/multipage/links.html#link-type-modulepreload)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._link = ", ".join(f"<./static/js/{name}>; rel=modulepreload" for name in later_scripts())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http" or not self._link:
            await self._app(scope, receive, send)
            return

        async def send_with_link(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if headers.get("content-type", "").startswith("text/html"):
                    headers["link"] = self._link
            await send(message)

        await self._app(scope, receive, send_with_link)


def later_scripts() -> list[str]:
    """The files of `ELEMENTS` and all they import, without those that the page itself names already."""
    named = (STATIC / "index.html").read_text()
    found: dict[str, None] = {}
    for element in ELEMENTS:
        for path in SCRIPTS.glob(f"{element}.*.js"):
            found |= dict.fromkeys([path.name, *_imports(path)])
    return [name for name in found if name not in named]


def _imports(path: Path, seen: set[str] | None = None) -> Iterator[str]:
    seen = {path.name} if seen is None else seen
    for name in IMPORTED.findall(path.read_text()):
        if name not in seen:
            seen.add(name)
            yield name
            yield from _imports(SCRIPTS / name, seen)
