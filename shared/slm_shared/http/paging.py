"""Keyset pages: newest first, stable while rows are added, as quick on page 1,000 as on page 1."""

import base64
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

from fastapi import Depends, Query
from pydantic import BaseModel
from sqlalchemy import Select, tuple_
from sqlalchemy.orm import InstrumentedAttribute

from slm_shared.errors import FieldProblem, InvalidError

DEFAULT_LIMIT = 50
MAX_LIMIT = 100

T = TypeVar("T")
R = TypeVar("R")


class Page(BaseModel, Generic[T]):
    """One page of a list; ask for the next one with `cursor=next_cursor` while that is not null."""

    items: list[T]
    next_cursor: str | None = None


class PageRequest(BaseModel):
    """The `limit` (1 to 100) and `cursor` of a list request."""

    limit: int = DEFAULT_LIMIT
    cursor: str | None = None


async def _page_request(
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Items per page.")] = DEFAULT_LIMIT,
    cursor: Annotated[str | None, Query(max_length=400, description="`next_cursor` of the page before.")] = None,
) -> PageRequest:
    return PageRequest(limit=limit, cursor=cursor)


PageQuery = Annotated[PageRequest, Depends(_page_request)]


def keyset(
    statement: Select[Any],
    *,
    key: tuple[InstrumentedAttribute[datetime], InstrumentedAttribute[UUID]],
    query: PageRequest,
) -> Select[Any]:
    """The statement for one page (and one row more, which tells whether another page follows).

    Raises InvalidError for a cursor that this platform did not make.
    """
    created_at, identity = key
    if query.cursor is not None:
        statement = statement.where(tuple_(created_at, identity) < tuple_(*_decode(query.cursor)))
    return statement.order_by(created_at.desc(), identity.desc()).limit(query.limit + 1)


def page_of(
    rows: Sequence[R], query: PageRequest, *, key: Callable[[R], tuple[datetime, UUID]], show: Callable[[R], T]
) -> Page[T]:
    """Turn the rows of a `keyset` statement into a page of what `show` makes of each."""
    visible = rows[: query.limit]
    more = len(rows) > query.limit
    return Page(items=[show(row) for row in visible], next_cursor=_encode(*key(visible[-1])) if more else None)


def _encode(created_at: datetime, identity: UUID) -> str:
    return base64.urlsafe_b64encode(json.dumps([created_at.isoformat(), str(identity)]).encode()).decode()


def _decode(cursor: str) -> tuple[datetime, UUID]:
    try:
        created_at, identity = json.loads(base64.urlsafe_b64decode(cursor))
        return datetime.fromisoformat(created_at), UUID(identity)
    except (ValueError, TypeError, AttributeError) as error:
        problem = FieldProblem("cursor", "is not a cursor of this list; use next_cursor of the page before")
        raise InvalidError("The cursor is not valid.", errors=[problem]) from error
