"""The blocks of a page: head, facts, cards, timeline, log, graph, samples, and the empty state."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from slm_client.models import LogLine
from slm_ui.components.cells import Cell
from slm_ui.components.view import draw
from slm_ui.navigation import go, href


def head(
    title: str, *, text: str | None = None, crumbs: Sequence[Cell] = (), badges: Sequence[Cell] = (), key: str = "head"
) -> None:
    """The head of a page."""
    draw({"kind": "head", "title": title, "text": text, "crumbs": list(crumbs), "badges": list(badges)}, key=key)


def head_of_work(title: str, text: str) -> None:
    """The head of a page from which a training is begun."""
    left, right = st.columns([4, 1], vertical_alignment="center")
    with left:
        head(title, text=text)
    if right.button("Train model", type="primary", icon=":material/rocket_launch:", width="stretch"):
        go(href("train"))


def facts(items: Sequence[tuple[str, Cell]], *, key: str) -> None:
    """Names and values."""
    draw({"kind": "facts", "items": [[label, cell] for label, cell in items]}, key=key)


def cards(items: Sequence[Mapping[str, Any]], *, key: str) -> None:
    """Big numbers: each has a label, a value, and may have a sub and a href."""
    draw({"kind": "cards", "items": list(items)}, key=key)


def strip(items: Sequence[Cell], *, key: str) -> None:
    """Some cells in one line."""
    draw({"kind": "strip", "items": list(items)}, key=key)


def timeline(items: Sequence[Mapping[str, Any]], *, key: str) -> None:
    """What happened, oldest first: each has a title, and may have a time, a tone and a detail."""
    draw({"kind": "timeline", "items": list(items)}, key=key)


def log(lines: Sequence[LogLine], *, label: str, key: str) -> None:
    """The lines of a log; it stays at the end while the reader is there."""
    shown = [
        {"time": line.time.isoformat() if line.time else None, "level": line.level, "message": line.message}
        for line in lines
    ]
    draw({"kind": "log", "label": label, "lines": shown}, key=key)


def graph(columns: Sequence[Mapping[str, Any]], edges: Sequence[Mapping[str, str]], *, key: str) -> None:
    """Nodes in columns, and what leads from one to another."""
    draw({"kind": "graph", "columns": list(columns), "edges": list(edges)}, key=key)


def samples(items: Sequence[Mapping[str, Any]], *, key: str) -> None:
    """What was asked, expected and answered."""
    draw({"kind": "samples", "items": list(items)}, key=key)


def empty(title: str, text: str, *, key: str, action: tuple[str, str] | None = None) -> None:
    """Nothing is there yet, and what to do about it; `action` is a text and the name of a page."""
    link = {"text": action[0], "href": href(action[1])} if action else None
    draw({"kind": "empty", "title": title, "text": text, "action": link}, key=key)
