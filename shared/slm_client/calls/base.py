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
    """An answer whose shape this client passes on as it is, e.g. a model card."""

    def content(self) -> dict[str, Any]:
        """The object as it was answered."""
        return dict(self.model_extra or {})


class Nothing(Answer):
    """The answer of a request that has none (204)."""


@dataclass(frozen=True)
class Upload:
    """A file to send as the multipart part `file`, under `filename`."""

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
    """What every list takes: the order, how many items a page has, and where it begins (`next_cursor` of a page)."""

    sort: str | None
    limit: int | None
    cursor: str | None


class Unset(Enum):
    """The type of `UNSET`."""

    UNSET = "unset"


UNSET = Unset.UNSET
"""Says of an argument that it was not given, where None means something."""


def changes_of(**values: Any) -> dict[str, Any]:
    """The arguments that were given, None among them."""
    return {name: value for name, value in values.items() if value is not UNSET}


def given(**values: Any) -> dict[str, Any]:
    """The arguments that were given."""
    return {name: value for name, value in values.items() if value is not None}


def address_of(collection: str, reference: object, suffix: str = "") -> str:
    """The path of one thing, its reference quoted."""
    return f"/api/{collection}/{quote(str(reference), safe='')}{suffix}"
