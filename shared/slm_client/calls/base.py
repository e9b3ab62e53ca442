"""A request as data."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Any, Generic, TypedDict, TypeVar
from urllib.parse import quote

from slm_client.models import Answer

T = TypeVar("T")


ProgressCallback = Callable[[int], None]
"""Called with the number of bytes that went over the wire since the last call."""


class JsonObject(Answer):
    """An answer that the client passes on without a model of its own, e.g. a model card."""

    def content(self) -> dict[str, Any]:
        """The JSON object."""
        return dict(self.model_extra or {})


class Nothing(Answer):
    """The empty answer of a request, e.g. of a deletion."""


@dataclass(frozen=True)
class Upload:
    """A file to send as the part `file` of a multipart form, with other fields."""

    path: Path
    filename: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    on_progress: ProgressCallback | None = None


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request and the type of its answer; a POST without `idempotency_key` gets one of its own."""

    method: str
    path: str
    answer: type[T]
    params: Mapping[str, Any] = field(default_factory=dict)
    json: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    upload: Upload | None = None
    content: bytes | None = None
    idempotency_key: str | None = None

    def with_params(self, **params: Any) -> "Call[T]":
        """The same request with these query parameters beside or in place of its own."""
        return replace(self, params={**self.params, **params})


class PageFilters(TypedDict, total=False):
    """What every list takes: its order, the items per page, and the `next_cursor` of the previous page."""

    sort: str | None
    limit: int | None
    cursor: str | None


class Unset(Enum):
    """The type of `UNSET`."""

    UNSET = "unset"


UNSET = Unset.UNSET
"""The default of an argument for which None has a meaning."""


def changes_of(**values: Any) -> dict[str, Any]:
    """The arguments that are not UNSET."""
    return {name: value for name, value in values.items() if value is not UNSET}


def given(**values: Any) -> dict[str, Any]:
    """The arguments that are not None."""
    return {name: value for name, value in values.items() if value is not None}


def address_of(collection: str, reference: object, suffix: str = "") -> str:
    """The path of one resource, with its reference quoted."""
    return f"/api/{collection}/{quote(str(reference), safe='')}{suffix}"
