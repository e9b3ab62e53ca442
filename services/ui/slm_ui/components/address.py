"""Widgets whose value stands in the address, and nowhere else: a refresh or a second tab shows the same."""

from collections.abc import Callable, Collection
from typing import Any

import streamlit as st

Read = Callable[[str], Any]


def bound(
    name: str,
    *,
    default: Any = None,
    read: Read = str,
    among: Collection[Any] | None = None,
    then: Callable[[], None] | None = None,
) -> dict[str, Any]:
    """The arguments that tie a widget to the parameter `name`; what cannot be read, or is not `among`, is the default.

    `then` is called after a change, before the page is made again.
    """
    key = f"address:{name}"
    st.session_state[key] = value_of(name, default=default, read=read, among=among)
    return {"key": key, "on_change": _store, "args": (name, key, default, then)}


def value_of(name: str, *, default: Any = None, read: Read = str, among: Collection[Any] | None = None) -> Any:
    """What the address says for `name`."""
    told = st.query_params.get(name)
    if told is None:
        return default
    try:
        value = read(told)
    except ValueError:
        return default
    return value if among is None or value in among else default


def _store(name: str, key: str, default: Any, then: Callable[[], None] | None) -> None:
    value = st.session_state[key]
    if value is None or value == "" or value == default:
        st.query_params.pop(name, None)
    else:
        st.query_params[name] = str(value)
    if then:
        then()
