"""Choosing one of many: a search on the platform, and the first page of what it finds."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import streamlit as st

from slm_client import SlmError
from slm_client.models import Dataset, Experiment, Model
from slm_ui import api
from slm_ui.components.address import bound, value_of
from slm_ui.components.states import tell

T = TypeVar("T", Dataset, Experiment, Model)
MAX_SHOWN = 100


def pick(
    label: str,
    name: str,
    *,
    find: Callable[[str | None], Sequence[T]],
    get: Callable[[str], T],
    describe: Callable[[T], str],
    default: str | None = None,
    required: bool = True,
    then: Callable[[], None] | None = None,
) -> T | None:
    """The thing whose id stands in the address under `name`, or None; `find` answers at most one page of them."""
    searched = st.text_input(
        f"Search {label.lower()}",
        key=f"picker:{name}",
        placeholder="Search by name",
        icon=":material/search:",
        label_visibility="collapsed",
    )
    found = {item.id: item for item in find(searched.strip() or None)}
    chosen = value_of(name, default=default)
    if chosen is not None and chosen not in found:
        try:
            item = get(chosen)
            # A reference may be a name: from here on its id counts.
            chosen = item.id
            st.query_params[name] = chosen
            found = {item.id: item, **found}
        except SlmError as error:
            if api.is_away(error):
                raise
            tell(error, what=f"{label}: what was chosen is not there")
            st.query_params.pop(name, None)
    picked = st.selectbox(
        label,
        list(found),
        index=None,
        format_func=lambda identity: describe(found[identity]) if identity in found else str(identity),
        placeholder=f"Choose {'' if required else '(optional) '}among {len(found):,}" if found else "Nothing found",
        disabled=not found,
        **bound(name, default=None if default not in found else default, among=found, then=then),
    )
    if len(found) >= MAX_SHOWN:
        st.caption(f"The {MAX_SHOWN} newest are listed; search for others by name.")
    return found.get(picked) if picked else None
