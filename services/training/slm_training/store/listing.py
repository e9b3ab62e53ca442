"""Lists of runs: filtered, sorted, in keyset pages, each order backed by an index."""

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Float, Select, Text, cast, func, literal, or_, select, text, tuple_
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.ext.asyncio import AsyncSession

from slm_shared.errors import FieldProblem, InvalidError
from slm_shared.http.paging import PageRequest
from slm_training.domain import RunState, states_shown_as
from slm_training.schemas.runs import Filters, Sort
from slm_training.tables import RunRow


@dataclass(frozen=True)
class _Order:
    """An order of the list: its expression, and how a value of it travels in a cursor."""

    by: ColumnElement[Any]
    of: Callable[[RunRow], Any]
    back: Callable[[Any], ColumnElement[Any]]


MOMENT = TIMESTAMP(timezone=True)
ORDERS: dict[str, _Order] = {
    "created_at": _Order(
        RunRow.__table__.c.created_at,
        lambda row: row.created_at.isoformat(),
        lambda value: literal(datetime.fromisoformat(value)),
    ),
    "name": _Order(RunRow.__table__.c.name, lambda row: row.name, lambda value: literal(str(value))),
    "completed_at": _Order(
        func.coalesce(RunRow.completed_at, text("'-infinity'")),
        lambda row: row.completed_at.isoformat() if row.completed_at else None,
        lambda value: literal(datetime.fromisoformat(value)) if value else literal("-infinity").cast(MOMENT),
    ),
    "eval_loss": _Order(
        func.coalesce(RunRow.result["eval_loss"].astext.cast(Float), text("'Infinity'")),
        lambda row: (row.result or {}).get("eval_loss"),
        lambda value: literal(float("inf") if value is None else float(value)),
    ),
}
"""What is not there yet sorts as the earliest moment and the greatest loss."""


async def list_runs(
    session: AsyncSession, query: PageRequest, filters: Filters, *, sort: Sort = "-created_at"
) -> Sequence[RunRow]:
    """One page of runs (and one more row). Raises InvalidError for a cursor that is not of this list."""
    descending, order = sort.startswith("-"), ORDERS[sort.removeprefix("-")]
    statement = _filtered(select(RunRow), filters)
    place = tuple_(order.by, RunRow.id)
    if query.cursor is not None:
        value, identity = _decode(query.cursor, sort)
        here = tuple_(
            literal(order.back(value)) if not isinstance(order.back(value), ColumnElement) else order.back(value),
            identity,
        )
        statement = statement.where(place < here if descending else place > here)
    ordered = (order.by.desc(), RunRow.id.desc()) if descending else (order.by.asc(), RunRow.id.asc())
    return (await session.scalars(statement.order_by(*ordered).limit(query.limit + 1))).all()


def _filtered(statement: Select[Any], filters: Filters) -> Select[Any]:
    if filters.status is not None:
        statement = statement.where(RunRow.state.in_(states_shown_as(filters.status)))
    elif not filters.drafts:
        statement = statement.where(RunRow.state != RunState.DRAFT)
    if filters.dataset_id is not None:
        trained, evaluated = RunRow.training_dataset["id"].astext, RunRow.evaluation_dataset["id"].astext
        statement = statement.where(or_(trained == str(filters.dataset_id), evaluated == str(filters.dataset_id)))
    if filters.base_model_id is not None:
        statement = statement.where(RunRow.base_model["id"].astext == str(filters.base_model_id))
    if filters.tag is not None:
        statement = statement.where(RunRow.tags.contains([filters.tag]))
    if filters.owner is not None:
        statement = statement.where(RunRow.owner == filters.owner)
    if filters.q:
        words = func.concat_ws(" ", RunRow.name, RunRow.goal, RunRow.description, cast(RunRow.tags, Text))
        statement = statement.where(words.icontains(filters.q, autoescape=True))
    return statement


def cursor_of(row: RunRow, sort: Sort) -> str:
    """The cursor behind a row."""
    value = ORDERS[sort.removeprefix("-")].of(row)
    return base64.urlsafe_b64encode(json.dumps([sort, value, str(row.id)]).encode()).decode()


def _decode(cursor: str, sort: Sort) -> tuple[Any, UUID]:
    try:
        of, value, identity = json.loads(base64.urlsafe_b64decode(cursor))
        if of != sort:
            raise ValueError
        ORDERS[sort.removeprefix("-")].back(value)
        return value, UUID(identity)
    except (ValueError, TypeError, AttributeError) as error:
        problem = FieldProblem("cursor", "is not a cursor of this list and order; use next_cursor of the page before")
        raise InvalidError("The cursor is not valid.", errors=[problem]) from error
