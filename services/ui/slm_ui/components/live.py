"""Parts of a page that look again by themselves, and say so when the platform does not answer."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import streamlit as st

from slm_client import SlmError
from slm_ui import api
from slm_ui.components.states import NOT_FOUND, tell

P = ParamSpec("P")
T = TypeVar("T")


def live(part: Callable[P, None], *, every: float | None) -> Callable[P, None]:
    """`part` as a fragment that runs again `every` so many seconds (None: only with its page).

    Only it is made anew then; a refusal is told in its place, and is gone with the next answer.
    """

    @wraps(part)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            part(*args, **kwargs)
        except SlmError as error:
            tell(error)
            if every is not None and api.is_away(error):
                st.caption("Trying again every few seconds.")
            elif error.status != NOT_FOUND and st.button("Try again", icon=":material/refresh:", key=part.__name__):
                st.rerun(scope="app")

    # Typed: Streamlit's decorator loses the parameters.
    again: Callable[P, None] = st.fragment(guarded, run_every=every)
    return again


def current(key: str, first: T, read: Callable[[], T]) -> T:
    """What a live part shows: first what its page has read already, and at every later run what `read` gives."""
    # Streamlit runs a fragment again with the very arguments of its first run: the same object tells that they repeat.
    if st.session_state.get(key) is first:
        return read()
    st.session_state[key] = first
    return first
