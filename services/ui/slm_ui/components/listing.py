"""Lists: one page of rows from the platform at a time, with search, filters, order and place in the address."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import streamlit as st

from slm_client.models import Page
from slm_ui.components import cells
from slm_ui.components.address import bound, put
from slm_ui.components.view import draw
from slm_ui.formatting import words
from slm_ui.settings import settings

T = TypeVar("T")
CURSOR, NUMBER, SORT = "cursor", "page", "sort"


class Listing:
    """One list of a page. `name` keeps its state apart from that of other lists."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._trail = f"{name}:trail"

    def search(self, label: str) -> str | None:
        """A search field."""
        given = st.text_input(
            label,
            placeholder=label,
            label_visibility="collapsed",
            icon=":material/search:",
            max_chars=100,
            **bound("q", default="", then=self.restart),
        )
        return (given or "").strip() or None

    def choice(self, label: str, name: str, options: Sequence[str]) -> str | None:
        """A filter with a few values; None for all."""
        chosen: str | None = st.selectbox(
            label,
            options,
            index=None,
            placeholder=f"{label}: all",
            label_visibility="collapsed",
            format_func=words,
            **bound(name, among=options, then=self.restart),
        )
        return chosen

    def restart(self) -> None:
        """Back to the first page: what is listed has changed."""
        put({CURSOR: None, NUMBER: None})
        st.session_state.pop(self._trail, None)

    @property
    def is_filtered(self) -> bool:
        """Whether the address asks for less than everything."""
        return any(name not in (CURSOR, NUMBER, SORT) for name in st.query_params)

    @property
    def sort(self) -> str | None:
        """The order that was asked for."""
        return st.query_params.get(SORT)

    @property
    def place(self) -> dict[str, Any]:
        """The part of the list to ask for, in which order."""
        return {"limit": settings().page_size, "cursor": st.query_params.get(CURSOR), "sort": self.sort}

    def show(
        self,
        page: Page[T],
        row: Callable[[T], dict[str, Any]],
        *,
        columns: Sequence[cells.Column],
        label: str,
        **more: Any,
    ) -> None:
        """The rows of a page and what leads to the others."""
        key = f"{self.name}:table"
        number = _number()
        st.session_state[f"{self.name}:next"] = page.next_cursor
        trail: list[str | None] = st.session_state.get(self._trail, [])
        pages = {
            "number": number,
            # Cursors only lead on: back goes by those this session came through, which a copied address does not have.
            "hasPrevious": number > 1 and len(trail) == number - 1,
            "hasNext": page.next_cursor is not None,
            "note": f"{len(page.items)} shown",
        }
        data = cells.table(label, columns, [row(item) for item in page.items], sort=self.sort, pages=pages)
        handlers: Mapping[str, Callable[[Any], None]] = {"page": self._turn, "sort": self._order}
        draw(data | {name: value for name, value in more.items() if name in ("selectable", "picked")}, key=key,
             **handlers, **{name: value for name, value in more.items() if name == "pick"})  # fmt: skip

    def _order(self, sort: str) -> None:
        self.restart()
        put({SORT: sort})

    def _turn(self, where: str) -> None:
        """Go to the first, previous or next page."""
        trail: list[str | None] = st.session_state.get(self._trail, [])
        number, current = _number(), st.query_params.get(CURSOR)
        if where == "next" and (following := st.session_state.get(f"{self.name}:next")):
            self._place(following, number + 1, [*trail, current] if len(trail) == number - 1 else [])
        elif where == "previous" and trail:
            self._place(trail[-1], number - 1, trail[:-1])
        else:
            self.restart()

    def _place(self, cursor: str | None, number: int, trail: list[str | None]) -> None:
        if cursor is None:
            self.restart()
            return
        st.session_state[self._trail] = trail
        put({CURSOR: cursor, NUMBER: number})


def _number() -> int:
    told = st.query_params.get(NUMBER, "1")
    return max(1, int(told)) if told.isdecimal() else 1
