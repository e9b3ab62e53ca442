"""What all answers share: the root class, pages, references and problems."""

from collections.abc import Sequence
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict

T = TypeVar("T")


class Answer(BaseModel):
    """Root of all answers; unknown fields are kept, so that a newer platform may add some."""

    model_config = ConfigDict(extra="allow", frozen=True, protected_namespaces=())


class Page(Answer, Generic[T]):
    """One page of a list, newest first; `next_cursor` is None on the last."""

    items: Sequence[T]
    next_cursor: str | None = None


class Reference(Answer):
    """A reference to another resource; one to a dataset also has its checksum and its number of rows."""

    id: str
    name: str
    sha256: str | None = None
    rows: int | None = None


class Problem(Answer):
    """Why something failed: `blame` is `user`, `system` or `infra`, `line` counts from 1 in the uploaded file."""

    code: str
    message: str
    blame: str | None = None
    line: int | None = None
    column: str | int | None = None
    hint: str | None = None
    log_tail: str | Sequence[str] | None = None
