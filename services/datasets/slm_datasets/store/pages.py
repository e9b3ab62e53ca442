"""Keyset pages of datasets in any of their orders."""

import base64
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, tuple_

from slm_datasets.schemas import DatasetSort
from slm_datasets.tables import DatasetRow
from slm_shared.errors import FieldProblem, InvalidError
from slm_shared.http.paging import PageRequest

KEYS: dict[str, tuple[ColumnElement[Any], Callable[[DatasetRow], Any], type]] = {
    "created_at": (DatasetRow.created_at.expression, lambda row: row.created_at.isoformat(), str),
    "name": (DatasetRow.name.expression, lambda row: row.name, str),
    "rows": (func.coalesce(DatasetRow.rows, 0), lambda row: row.rows or 0, int),
    "size_bytes": (DatasetRow.size_bytes.expression, lambda row: row.size_bytes, int),
}
"""Each order's indexed expression, its value in a row, and that value's JSON type."""


def sorted_page(statement: Select[Any], query: PageRequest, sort: DatasetSort) -> Select[Any]:
    """The statement for one page and one row more. Raises InvalidError for a cursor that is not of this list."""
    column, _, _ = KEYS[sort.removeprefix("-")]
    falls = sort.startswith("-")
    if query.cursor is not None:
        place = tuple_(*_decode(query.cursor, sort))
        here = tuple_(column, DatasetRow.id)
        statement = statement.where(here < place if falls else here > place)
    order = [each.desc() if falls else each.asc() for each in (column, DatasetRow.id.expression)]
    return statement.order_by(*order).limit(query.limit + 1)


def next_cursor(rows: Sequence[DatasetRow], query: PageRequest, sort: DatasetSort) -> str | None:
    """Where the page after these rows begins, or None when there is none."""
    if len(rows) <= query.limit:
        return None
    last = rows[query.limit - 1]
    _, value_of, _ = KEYS[sort.removeprefix("-")]
    return base64.urlsafe_b64encode(json.dumps([sort, value_of(last), str(last.id)]).encode()).decode()


def _decode(cursor: str, sort: DatasetSort) -> tuple[Any, UUID]:
    _, _, kind = KEYS[sort.removeprefix("-")]
    try:
        ordered_by, value, identity = json.loads(base64.urlsafe_b64decode(cursor))
        if ordered_by != sort or type(value) is not kind:
            raise ValueError(cursor)
        return datetime.fromisoformat(str(value)) if sort.endswith("created_at") else value, UUID(identity)
    except (ValueError, TypeError, AttributeError) as error:
        problem = FieldProblem(
            "cursor", "is not a cursor of this list in this order; use next_cursor of the page before"
        )
        raise InvalidError("The cursor is not valid.", errors=[problem]) from error
