"""Which thing a page is about."""

import streamlit as st

from slm_ui.components import panels


def wanted(kind: str, listed_at: str) -> str:
    """The id in the address; without one the page says where to find some and ends."""
    given = st.query_params.get("id", "").strip()
    if not given:
        panels.empty(
            f"Which {kind}?", "The address has no id.", key="identity:none", action=("Show all of them", listed_at)
        )
        st.stop()
    return given
