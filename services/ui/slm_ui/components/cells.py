"""What stands in a table or a list of facts: plain data that the view component draws."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from slm_client.models import Reference
from slm_ui import formatting
from slm_ui.navigation import href

Cell = Any
"""A text, a list of cells, or an object: text, time, href, tone (a badge), mono, pre, sub, bar, title."""
Column = Any
"""The label of a column, or what `column` makes of it."""

TONES = {
    "processed": "good",
    "completed": "good",
    "succeeded": "good",
    "ready": "good",
    "running": "busy",
    "leased": "busy",
    "completing": "busy",
    "in_progress": "busy",
    "cancelling": "warn",
    "pausing": "warn",
    "lost": "warn",
    "released": "warn",
    "error": "bad",
    "failed": "bad",
    "dead_letter": "bad",
    "unavailable": "bad",
    "regressed": "bad",
}


def tone_of(status: str) -> str:
    """The colour of a status; grey for one that needs no attention or is not known here."""
    return TONES.get(status, "idle")


def badge(text: str, *, tone: str = "idle") -> Cell:
    """A word in a coloured pill."""
    return {"text": text, "tone": tone}


def status(value: str, **more: Any) -> Cell:
    """A status in the platform's own word."""
    return {"text": formatting.words(value), "tone": tone_of(value), **more}


def moment(value: datetime | None) -> Cell:
    """A time, told by the reader's own clock."""
    return None if value is None else {"time": value.isoformat()}


def link(text: str, page: str, *, sub: str | None = None, **parameters: object) -> Cell:
    """A link to another page."""
    return {"text": text, "href": href(page, **parameters), "sub": sub}


def mono(text: object, *, title: str | None = None) -> Cell:
    """Something to be read letter by letter."""
    return None if text is None else {"text": str(text), "mono": True, "title": title}


def short(identity: object, page: str | None = None, **parameters: object) -> Cell:
    """An id or a checksum, its beginning only; the whole of it as its title."""
    if identity is None:
        return None
    text = str(identity)
    shown = {"text": f"{text[:8]}…{text[-4:]}" if len(text) > 16 else text, "mono": True, "title": text}
    return shown | ({"href": href(page, **(parameters or {"id": text}))} if page else {})


def dataset(reference: Reference | None) -> Cell:
    """A dataset as a link."""
    if reference is None:
        return None
    sub = None if reference.rows is None else f"{formatting.count(reference.rows)} rows"
    return link(reference.name, "dataset", id=reference.id, sub=sub)


def model(reference: Reference | None) -> Cell:
    """A model as a link."""
    return None if reference is None else link(reference.name, "model", id=reference.id)


def long(text: str | None) -> Cell:
    """A text of several lines."""
    return {"text": text, "pre": True} if text else None


def table(label: str, columns: Sequence[Column], rows: Sequence[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """A table; each row has as many cells as there are columns."""
    head = [column(each) if isinstance(each, str) else each for each in columns]
    return {"kind": "table", "label": label, "columns": head, "rows": list(rows), **more}


def row(identity: str, *cells: Cell, label: str | None = None) -> dict[str, Any]:
    """One row of a table; `label` names it where rows can be selected."""
    named = {} if label is None else {"label": label}
    return {"id": identity, "cells": list(cells), **named}


def column(label: str, *, sort: str | None = None, align: str | None = None) -> Column:
    """One column; `sort` is the API's name for sorting by it."""
    return {"label": label, "sort": sort, "align": align}


def side_by_side(values: Sequence[Any], *, same: bool) -> list[Cell]:
    """The values of one fact of several things; where they differ they stand out."""
    texts = [formatting.NONE if value is None else formatting.as_text(value) for value in values]
    return [{"text": "", "sub": text} if same else badge(text, tone="accent") for text in texts]
