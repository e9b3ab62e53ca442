"""Columns whose JSON is typed."""

from typing import Any, TypeVar

from pydantic import BaseModel
from sqlalchemy import Dialect, TypeDecorator
from sqlalchemy.dialects.postgresql import JSONB

M = TypeVar("M", bound=BaseModel)


class JsonOf(TypeDecorator[M]):
    """A `jsonb` column that holds one pydantic model: `mapped_column(JsonOf(DatasetRef))`."""

    impl = JSONB
    cache_ok = True

    def __init__(self, kind: type[M]) -> None:
        super().__init__()
        self.kind = kind

    def process_bind_param(self, value: M | None, dialect: Dialect) -> Any:
        """The JSON of a model."""
        return None if value is None else value.model_dump(mode="json")

    def process_result_value(self, value: Any, dialect: Dialect) -> M | None:
        """The model in some JSON. Raises pydantic's ValidationError for JSON that is none."""
        return None if value is None else self.kind.model_validate(value)
