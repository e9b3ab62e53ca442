"""Pages of lists, as requests ask for them and answers give them; `sorting` makes them."""

from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel

from slm_shared.http.provided import taken

DEFAULT_LIMIT = 50
MAX_LIMIT = 100

T = TypeVar("T")


class Page(BaseModel, Generic[T]):
    """One page of a list; ask for the next one with `cursor=next_cursor` while that is not null."""

    items: list[T]
    next_cursor: str | None = None


@dataclass(frozen=True)
class PageRequest:
    """The `limit` (1 to 100) and `cursor` of a list request."""

    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Items per page.")] = DEFAULT_LIMIT
    cursor: Annotated[str | None, Query(max_length=400, description="`next_cursor` of the page before.")] = None


PageQuery = Annotated[PageRequest, taken(PageRequest)]
