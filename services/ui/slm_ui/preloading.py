"""Which scripts a page will need, so that a browser fetches them while it still starts the page.

Otherwise it learns of them only once the first elements of a page have arrived, and fetches them in a second round.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import streamlit

STATIC = Path(streamlit.__file__).parent / "static"
SCRIPTS = STATIC / "static" / "js"
# What almost every page of the console shows: its own view, fields, lists and buttons.
ELEMENTS = ("BidiComponent", "Html", "Button", "TextInput", "Selectbox")
IMPORTED = re.compile(r"""(?:from|import)\s*["']\./([\w.$-]+\.js)["']""")


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
