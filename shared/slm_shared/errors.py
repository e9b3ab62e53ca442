"""The one error tree of the platform.

Services subclass these with a stable `code`; the web edge renders them as RFC 9457 problem documents. A message is
written for the user: what, where and what to do. It never contains another library's exception text or raw input.
"""

import errno
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, ClassVar, Self


class Hint(StrEnum):
    """What to do about an error, as a code that each interface words its own way; `text` is the API's own wording.

    docs/errors.md lists them; `slm_client.cli.hints` and `slm_ui.hints` hold the other wordings.
    """

    text: str

    def __new__(cls, code: str, text: str) -> Self:
        """A code with its wording."""
        hint = str.__new__(cls, code)
        hint._value_, hint.text = code, text
        return hint

    LIST_DATASETS = "list_datasets", "List the datasets to see which there are."
    LIST_MODELS = "list_models", "List the models to see which there are."
    LIST_RUNS = "list_runs", "List the runs to see which there are."
    LIST_EXPERIMENTS = "list_experiments", "List the experiments to see which there are."
    LIST_EVALUATIONS = "list_evaluations", "List the evaluations to see which there are."
    LIST_SUITES = "list_suites", "List the benchmark suites to see which there are."
    LIST_ALIASES = "list_aliases", "List the aliases of the model to see where they lead."
    REPRODUCE_RUN = "reproduce_run", "Reproduce a run; the experiment of the reproduction can be compared with it."
    UPLOAD_IN_PARTS = "upload_in_parts", "Upload the file in parts, or split it."


@dataclass(frozen=True)
class FieldProblem:
    """One thing wrong with one field of a request; `field` is a dotted path such as `config.epochs`."""

    field: str
    message: str


class PlatformError(Exception):
    """Root of all errors that may reach a user.

    `status` is the HTTP status, `code` the stable machine-readable name, `hint` says what to do
    (`hint_code` is its code if it is a `Hint`), `retry_after_s` becomes the `Retry-After` header.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    title: ClassVar[str] = "Internal error"

    def __init__(
        self,
        message: str,
        *,
        hint: Hint | str | None = None,
        errors: Sequence[FieldProblem] = (),
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint_code = hint if isinstance(hint, Hint) else None
        self.hint = hint.text if isinstance(hint, Hint) else hint
        self.errors = tuple(errors)
        self.retry_after_s = retry_after_s

    def problem(self, request_id: str) -> dict[str, Any]:
        """The RFC 9457 body."""
        body: dict[str, Any] = {
            "type": "about:blank",
            "title": self.title,
            "status": self.status,
            "detail": self.message,
            "code": self.code,
            "request_id": request_id,
        }
        if self.hint:
            body["hint"] = self.hint
        if self.hint_code:
            body["hint_code"] = self.hint_code.value
        if self.errors:
            body["errors"] = [asdict(problem) for problem in self.errors]
        return body


class MalformedError(PlatformError):
    """The request cannot be read at all."""

    status, code, title = 400, "malformed_request", "Malformed request"


class UnauthenticatedError(PlatformError):
    """The request names no principal, or one that is not known."""

    status, code, title = 401, "unauthenticated", "Not signed in"


class ForbiddenError(PlatformError):
    """The caller is known and may not do this."""

    status, code, title = 403, "forbidden", "Not allowed"


class NotFoundError(PlatformError):
    """No such thing, or none that the caller may see."""

    status, code, title = 404, "not_found", "Not found"


class ConflictError(PlatformError):
    """The state of the thing does not allow this now."""

    status, code, title = 409, "conflict", "Conflict"


class TooLargeError(PlatformError):
    """The request body exceeds a limit."""

    status, code, title = 413, "too_large", "Too large"


class UnsupportedTypeError(PlatformError):
    """The content is of a kind that is not accepted here."""

    status, code, title = 415, "type_not_allowed", "Type not allowed"


class InvalidError(PlatformError):
    """The request was understood and is wrong; `errors` names each field."""

    status, code, title = 422, "invalid", "Invalid request"


class UnavailableError(PlatformError):
    """Something this service needs does not answer; trying again later is safe."""

    status, code, title = 503, "unavailable", "Temporarily unavailable"

    def __init__(self, message: str, *, hint: Hint | str | None = None, retry_after_s: int = 2) -> None:
        super().__init__(message, hint=hint, retry_after_s=retry_after_s)


class DiskFullError(PlatformError):
    """There is no room left for what was sent; nothing of it was kept."""

    status, code, title = 507, "disk_full", "Disk full"


# How a job ends on a machine without room; another one may have it.
DISK_FULL = "worker_disk_full"
DISK_FULL_MESSAGE = "The disk of the worker is full. Make room on it; what was stored before is kept."
# What other languages' libraries say, whose errors carry no number.
DISK_FULL_SIGNS = ("No space left on device", "Disk quota exceeded")


def is_disk_full(error: BaseException | None) -> bool:
    """Whether this error, or one that it came from, says that a file system has no room left."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        if any(sign in str(error) for sign in DISK_FULL_SIGNS):
            return True
        error = error.__cause__ or error.__context__
    return False
