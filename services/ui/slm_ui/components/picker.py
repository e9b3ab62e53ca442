"""Choosing one of many: a search on the platform, and the first page of what it finds."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import streamlit as st

from slm_client import SlmError
from slm_client.models import Dataset, Experiment, Model
from slm_ui import api
from slm_ui.components.address import bound, put, value_of
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
    is_long = len(found) >= MAX_SHOWN
    found = _with_chosen(label, name, found=found, get=get)
    picked = st.selectbox(
        label,
        list(found),
        index=None,
        format_func=lambda identity: describe(found[identity]) if identity in found else str(identity),
        placeholder=f"Choose {'' if required else '(optional) '}among {len(found):,}" if found else "Nothing found",
        disabled=not found,
        **bound(name, among=found, then=then),
    )
    if is_long:
        st.caption(f"The {MAX_SHOWN} newest are listed; search for others by name.")
    return found.get(picked) if picked else None


def _with_chosen(label: str, name: str, *, found: dict[str, T], get: Callable[[str], T]) -> dict[str, T]:
    """What was found, with what the address names already; that is forgotten when it is not there any more."""
    chosen = value_of(name)
    if chosen is None or chosen in found:
        return found
    try:
        item = get(chosen)
    except SlmError as error:
        if api.is_away(error):
            raise
        tell(error, what=f"{label}: what was chosen is not there")
        put({name: None})
        return found
    # A reference may be a name: from here on its id counts.
    put({name: item.id})
    return {item.id: item, **found}
