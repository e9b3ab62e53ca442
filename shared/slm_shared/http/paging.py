"""Pages of lists, as requests ask for them and answers give them; `sorting` makes them."""

from typing import Annotated, Generic, TypeVar

from fastapi import Depends, Query
from pydantic import BaseModel

DEFAULT_LIMIT = 50
MAX_LIMIT = 100

T = TypeVar("T")


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
