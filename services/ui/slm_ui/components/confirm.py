"""Ask before something is done that cannot be undone."""

from collections.abc import Callable

import streamlit as st

from slm_ui.components.states import saved
from slm_ui.formatting import plain
from slm_ui.navigation import GOTO


def ask(
    title: str, text: str, *, verb: str, do: Callable[[], object], told: str | None = None, then: str | None = None
) -> None:
    """A dialog; `do` is called when the reader agrees, and the page is made again after it.

    `told` is kept for the page to say; `then` is the address to go to, for what is not there any more.
    """

    @st.dialog(title)
    def dialog() -> None:
        st.markdown(plain(text))
        no, yes = st.columns(2)
        if no.button("Keep it", key="confirm:no", width="stretch"):
            st.rerun()
        if yes.button(verb, key="confirm:yes", type="primary", width="stretch"):
            with saved(f"{verb} did not work"):
                do()
            st.session_state["confirm:told"] = told
            st.session_state[GOTO] = then
            st.rerun()

    dialog()
