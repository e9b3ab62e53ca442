"""The page's address as the place where its state stands: a refresh or a second tab shows the same.

A browser sends its address along with every event. Whoever is quick makes the next event before the browser has heard
of the change the last one made to the address, and what comes along is an address of a moment ago. It is told apart
from a real change (a link, the way back) by being one that stood here until then; see `reconcile`.
"""

import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

import streamlit as st

# Longer than a browser takes to hear of a change on a slow line, shorter than people take to go back and forth.
STALE_S = 4.0
LATEST, EARLIER, PAGE = "address", "address:earlier", "address:page"

Read = Callable[[str], Any]
Snapshot = dict[str, str]


def arrive(page: str) -> None:
    """Begin a run of a page: with another page everything before is history."""
    if st.session_state.get(PAGE) != page:
        st.session_state[PAGE] = page
        st.session_state[EARLIER] = []
        st.session_state[LATEST] = st.query_params.to_dict()
    reconcile()


def reconcile() -> None:
    """Take the address that came along, unless it is one that was replaced only now."""
    told = st.query_params.to_dict()
    latest: Snapshot | None = st.session_state.get(LATEST)
    if latest is None or told == latest:
        return
    now = time.monotonic()
    earlier: list[tuple[float, Snapshot]] = st.session_state.get(EARLIER, [])
    if any(told == snapshot and now - replaced_at < STALE_S for replaced_at, snapshot in earlier):
        st.query_params.from_dict(latest)
    else:
        st.session_state[LATEST] = told
        st.session_state[EARLIER] = []


def put(changes: Mapping[str, object]) -> None:
    """Change the address; None and empty take a parameter away."""
    reconcile()
    before = st.query_params.to_dict()
    after = before | {name: str(value) for name, value in changes.items() if value not in (None, "")}
    for name, value in changes.items():
        if value in (None, ""):
            after.pop(name, None)
    if after == before:
        return
    now = time.monotonic()
    recent = [entry for entry in st.session_state.get(EARLIER, []) if now - entry[0] < STALE_S]
    st.session_state[EARLIER] = [*recent, (now, before)]
    st.session_state[LATEST] = after
    st.query_params.from_dict(after)


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
    key, seen = f"address:{name}", f"address:{name}:seen"
    told = st.query_params.get(name)
    # Only what came from elsewhere is given to the widget: anything else could overwrite what is being typed.
    if key not in st.session_state or st.session_state.get(seen) != told:
        st.session_state[key] = value_of(name, default=default, read=read, among=among)
        st.session_state[seen] = told
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
    put({name: None if value == default else value})
    st.session_state[f"{key}:seen"] = st.query_params.get(name)
    if then:
        then()
