"""Keyset pages in any order: `sort=name` or `sort=-eval_loss`, by columns that a list has an index for.

They are as quick on page 1,000 as on page 1: the cursor names the place of the last row, no row before it is counted.
Each sort is an expression that is never null (what is missing is coalesced to the largest or smallest value) and comes
with the row's id behind it, so that every row has one place and pages stay stable while rows are added.
"""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, Row, Select, literal, tuple_

from slm_shared.errors import FieldProblem, InvalidError
from slm_shared.http.paging import Page, PageRequest

R = TypeVar("R")
T = TypeVar("T")


@dataclass(frozen=True)
class Sort:
    """One way to order a list: an expression, never null, and its Python type."""

    expression: ColumnElement[Any]
    type: type[str] | type[int] | type[float] | type[datetime]


@dataclass(frozen=True)
class Order:
    """A chosen sort and its direction."""

    name: str
    sort: Sort
    descending: bool


def order_of(sort: str, sorts: Mapping[str, Sort]) -> Order:
    """The order that `sort=<name>` (ascending) or `sort=-<name>` asks for. Raises InvalidError for any other name."""
    name = sort.removeprefix("-")
    if name not in sorts:
        problem = FieldProblem("sort", f"must be one of {', '.join(sorts)}, with a minus in front to descend")
        raise InvalidError("The list cannot be sorted like that.", errors=[problem])
    return Order(name, sorts[name], descending=sort.startswith("-"))


def sorted_page(
    statement: Select[Any], order: Order, *, identity: ColumnElement[UUID], query: PageRequest
) -> Select[Any]:
    """The statement for one page and one row more; the place of each row in the order is its last column.

    Raises InvalidError for a cursor that was not made by this list in this order.
    """
    expression = order.sort.expression
    if query.cursor is not None:
        place, last = _decode(query.cursor, order)
        here, there = tuple_(expression, identity), tuple_(literal(place, expression.type), literal(last))
        statement = statement.where(here < there if order.descending else here > there)
    columns = (expression, identity)
    # One row more than is shown tells whether another page follows.
    ordered = statement.order_by(*(each.desc() if order.descending else each.asc() for each in columns))
    return ordered.add_columns(expression).limit(query.limit + 1)


def page_of_sorted(
    rows: Sequence[Row[Any]], query: PageRequest, order: Order, *, key: Callable[[R], UUID], show: Callable[[R], T]
) -> Page[T]:
    """Turn the rows of a `sorted_page` statement into a page of what `show` makes of each."""
    visible = rows[: query.limit]
    more = len(rows) > query.limit
    cursor = _encode(order, visible[-1][-1], key(visible[-1][0])) if more else None
    return Page(items=[show(row[0]) for row in visible], next_cursor=cursor)


def _encode(order: Order, place: Any, identity: UUID) -> str:
    text = place.isoformat() if isinstance(place, datetime) else str(place)
    sort = f"-{order.name}" if order.descending else order.name
    return base64.urlsafe_b64encode(json.dumps([sort, text, str(identity)]).encode()).decode()


def _decode(cursor: str, order: Order) -> tuple[Any, UUID]:
    try:
        sort, text, identity = json.loads(base64.urlsafe_b64decode(cursor))
        if sort != (f"-{order.name}" if order.descending else order.name):
            raise ValueError("another order")
        return _place(text, order.sort), UUID(identity)
    except (ValueError, TypeError, AttributeError) as error:
        problem = FieldProblem(
            "cursor", "is not a cursor of this list in this order; use next_cursor of the page before"
        )
        raise InvalidError("The cursor is not valid.", errors=[problem]) from error


def _place(text: str, sort: Sort) -> Any:
    """The value in a cursor. Raises ValueError for what no row can have: PostgreSQL would fail over it."""
    place = datetime.fromisoformat(text) if issubclass(sort.type, datetime) else sort.type(text)
    bits = 64 if isinstance(sort.expression.type, BigInteger) else 32
    if isinstance(place, int) and not -(2 ** (bits - 1)) <= place < 2 ** (bits - 1):
        raise ValueError(f"beyond {bits} bits")
    # Encoding raises for lone surrogates.
    if b"\0" in text.encode():
        raise ValueError("a NUL character")
    return place
