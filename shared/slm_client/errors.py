"""All errors of the client. `SlmError` is the root; the platform's own answers are instances of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class FieldError:
    """One thing wrong with one field of a request."""

    field: str
    message: str


class SlmError(Exception):
    """A refused or failed request.

    `status` is the HTTP status (0 when no answer came), `code` the platform's stable name for the error, `hint` says
    what to do, `request_id` finds the request in the platform's logs. Subclasses may have a code and a status of their
    own.
    """

    code = "error"
    status = 0

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        status: int | None = None,
        hint: str | None = None,
        hint_code: str | None = None,
        request_id: str | None = None,
        errors: tuple[FieldError, ...] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = self.code if code is None else code
        self.status = self.status if status is None else status
        self.hint = hint
        self.hint_code = hint_code
        self.request_id = request_id
        self.errors = errors

    @classmethod
    def from_problem(cls, status: int, problem: Mapping[str, Any]) -> "SlmError":
        """Read an RFC 9457 body; whatever is missing or of another shape is left out."""
        listed = problem.get("errors")
        errors = tuple(
            FieldError(str(entry.get("field", "")), str(entry.get("message", "")))
            for entry in (listed if isinstance(listed, list) else [])
            if isinstance(entry, dict)
        )
        return cls(
            str(problem.get("detail") or problem.get("title") or f"The platform answered {status}."),
            code=str(problem.get("code") or "error"),
            status=status,
            hint=_text(problem.get("hint")),
            hint_code=_text(problem.get("hint_code")),
            request_id=_text(problem.get("request_id")),
            errors=errors,
        )


class UnreachableError(SlmError):
    """No answer came from the address, even after retries."""

    def __init__(self, address: str) -> None:
        super().__init__(
            f"No answer from the platform at {address}.",
            code="unreachable",
            hint="Check that the platform is running and that this is the address of its gateway.",
            hint_code="check_address",
        )


class UnexpectedAnswerError(SlmError):
    """The answer does not follow the platform's API, e.g. because another program answered."""

    def __init__(self, what: str, *, status: int) -> None:
        super().__init__(
            f"{what}: the answer is not in the platform's format.",
            code="unexpected_answer",
            status=status,
            hint="check that the address is that of an SLM Platform gateway of a matching version",
        )


class WaitTimeoutError(SlmError):
    """What was waited for did not happen in time; the work itself goes on."""

    def __init__(self, what: str, *, timeout_s: float) -> None:
        super().__init__(f"{what} within {timeout_s:.0f} s.", code="wait_timeout")


def _text(value: object) -> str | None:
    return str(value) if value else None
