"""The component that draws tables, facts, timelines and graphs as real, linkable text from plain data."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import streamlit as st

from slm_ui import navigation

ASSETS = Path(__file__).parents[1] / "assets"

Data = Mapping[str, Any]
Handler = Callable[[Any], None]

_mount = st.components.v2.component(
    "slm_view",
    html='<div class="view"></div>',
    css=(ASSETS / "view.css").read_text(),
    js=(ASSETS / "view.js").read_text(),
)


def draw(data: Data, *, key: str, **handlers: Handler) -> None:
    """Draw `data` (see assets/view.js for its kinds); `handlers` get the value of each `on_<event>`."""
    callbacks: dict[str, Any] = {
        f"on_{event}_change": partial(_handle, key, event, handler)
        for event, handler in ({"goto": _remember} | handlers).items()
    }
    # In a dictionary Streamlit would look for data frames, and load pandas for it.
    _mount(data=(data,), key=key, **callbacks)
    # In a full run the console has followed the link already; in that of a fragment it is up to us.
    navigation.go_where_asked()


def _remember(address: str) -> None:
    st.session_state[navigation.GOTO] = address


def _handle(key: str, event: str, handler: Handler) -> None:
    value = st.session_state[key].get(event)
    if value is not None:
        handler(value)
