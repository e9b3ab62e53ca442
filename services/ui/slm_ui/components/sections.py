"""Parts of a page under tabs and in folds: only what is open is asked for and sent to the browser."""

from collections.abc import Callable, Mapping

import streamlit as st

from slm_ui.components.address import bound
from slm_ui.components.live import live

TAB = "tab"
Part = Callable[[], None]


def show(parts: Mapping[str, Part]) -> None:
    """The parts under tabs with their names; going to another one makes nothing else of the page anew."""
    live(tabs, every=None)(parts)


def tabs(parts: Mapping[str, Part]) -> None:
    """The same within a part of a page that is live by itself. Which one is open stands in the address."""
    names = list(parts)
    for place, part in zip(st.tabs(names, **bound(TAB, default=names[0], among=names)), parts.values(), strict=True):
        # Streamlit makes every tab unless told otherwise: each would ask the platform for what nobody looks at.
        if place.open:
            with place:
                part()


def fold(label: str, part: Part, *, icon: str, key: str, is_open: bool = False) -> None:
    """A part that is made once somebody unfolds it; from then on what was entered there outlives folding it again."""
    place = st.expander(label, icon=icon, expanded=is_open, key=key, on_change="rerun")
    unfolded = f"{key}:unfolded"
    if place.open or st.session_state.get(unfolded):
        st.session_state[unfolded] = True
        with place:
            part()
