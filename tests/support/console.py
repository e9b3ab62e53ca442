"""The console as a test sees it: Streamlit's own test runner, and what the view component was given to draw."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from streamlit.testing.v1 import AppTest

import slm_ui

FOLDER = Path(slm_ui.__file__).parent
TIMEOUT_S = 60.0


class Page:
    """One page in one session."""

    def __init__(self, name: str, /, **parameters: str) -> None:
        self.app = AppTest.from_file(str(FOLDER / "console.py"), default_timeout=TIMEOUT_S)
        self.app.run()
        self.app.query_params.clear()
        self.app.query_params.update(parameters)
        self.app.switch_page(f"app_pages/{name}.py").run()

    @property
    def drawn(self) -> list[dict[str, Any]]:
        """What the view component was given, in order."""
        return [json.loads(element.proto.json)[0] for element in self.app.get("bidi_component")]

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        """All blocks of a kind: head, table, facts, cards, timeline, log, graph, samples, empty."""
        return [data for data in self.drawn if data["kind"] == kind]

    @property
    def title(self) -> str:
        """The page's head line."""
        title: str = self.of_kind("head")[0]["title"]
        return title

    @property
    def rows(self) -> list[list[Any]]:
        """The cells of the first table."""
        return [row["cells"] for row in self.of_kind("table")[0]["rows"]]

    @property
    def facts(self) -> dict[str, str]:
        """All names and values."""
        return {label: text_of(cell) for data in self.of_kind("facts") for label, cell in data["items"]}

    @property
    def errors(self) -> list[str]:
        """What went wrong, as told."""
        return [element.value for element in self.app.error]

    @property
    def text(self) -> str:
        """Everything that can be read on it."""
        static = [element.value for kind in (self.app.markdown, self.app.caption, self.app.code) for element in kind]
        return "\n".join([*static, *self.errors, *(text for data in self.drawn for text in texts_of(data))])

    def press(self, key: str) -> "Page":
        """Press a button."""
        self.app.button(key=key).click().run()
        return self


def text_of(cell: Any) -> str:
    """What a cell shows."""
    if isinstance(cell, dict):
        return " ".join(str(cell[name]) for name in ("text", "time", "sub") if cell.get(name))
    if isinstance(cell, list):
        return " ".join(text_of(part) for part in cell)
    return "" if cell is None else str(cell)


def texts_of(value: Any) -> Iterator[str]:
    """Every text in nested data."""
    if isinstance(value, dict):
        for part in value.values():
            yield from texts_of(part)
    elif isinstance(value, list):
        for part in value:
            yield from texts_of(part)
    elif value is not None:
        yield str(value)
