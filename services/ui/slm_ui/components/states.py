"""What a page shows when it cannot show what was asked for."""

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from slm_client import SlmError
from slm_ui import api
from slm_ui.components.address import PAGE
from slm_ui.formatting import plain, words
from slm_ui.hints import linked_hint_of
from slm_ui.navigation import PLACES, go, href

RETRY_S = 3.0
NOT_FOUND = 404


@contextmanager
def watched() -> Iterator[None]:
    """A page: what the platform refuses while it is made becomes its last element."""
    try:
        yield
    except SlmError as error:
        tell(error)
        if api.is_away(error):
            st.fragment(_look_again, run_every=RETRY_S)()
        elif error.status == NOT_FOUND:
            _lead_to_list()
        elif st.button("Try again", icon=":material/refresh:", key="retry"):
            st.rerun()


def _lead_to_list() -> None:
    """From the page of a thing that is not there to those that are."""
    listed = f"{st.session_state.get(PAGE)}s"
    place = next((place for place in PLACES if place.name == listed), None)
    if place is not None and st.button(f"Show all {place.title.lower()}", icon=place.icon, key="show:all"):
        go(href(place.name))


def tell(error: SlmError, *, what: str | None = None) -> None:
    """One readable message: what happened, where, and what to do."""
    lines = [plain(error.message)]
    lines += [f"- **{plain(words(entry.field))}**: {plain(entry.message)}" for entry in error.errors]
    if hint := linked_hint_of(error):
        lines.append(hint)
    refused = "Not found" if error.status == NOT_FOUND else "This did not work"
    title = what or ("The platform does not answer" if api.is_away(error) else refused)
    st.error("\n\n".join(lines), title=title, icon=":material/error:")
    if error.request_id:
        st.caption(f"`{error.code}` · request `{error.request_id}`")


def _look_again() -> None:
    """Ask every few seconds; the page comes back by itself with the platform."""
    st.caption("Trying again every few seconds. Nothing you entered is lost.")
    if st.button("Try now", icon=":material/refresh:", key="retry"):
        st.rerun(scope="app")
    try:
        api.client().overview()
    except SlmError:
        return
    st.rerun(scope="app")


@contextmanager
def saved(what: str) -> Iterator[None]:
    """Something that changes the platform: a refusal is shown in place, and what was entered stays."""
    try:
        yield
    except SlmError as error:
        tell(error, what=what)
        st.stop()
