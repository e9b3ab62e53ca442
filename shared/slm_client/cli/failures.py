"""Errors as a user sees them: one line that says what is wrong, one that says what to do, and an exit code."""

import typer

from slm_client.cli.hints import HINTS
from slm_client.cli.terminal import errors, printable
from slm_client.errors import SlmError, UnexpectedAnswerError, UnreachableError

OK = 0
JOB_FAILED = 1
BAD_INPUT = 2
NOT_FOUND_OR_CONFLICT = 3
UNREACHABLE = 4
INTERRUPTED = 130


class FailedJobError(Exception):
    """The platform accepted the work, and the work failed: a dataset in error, a failed training."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class BadInputError(SlmError):
    """The input cannot be used; found before anything was sent."""

    code, status = "bad_input", 422


def exit_code_of(error: BaseException) -> int:
    """The exit code that tells a script what kind of error this was."""
    match error:
        case UnreachableError() | UnexpectedAnswerError():
            return UNREACHABLE
        case SlmError(status=404 | 409):
            return NOT_FOUND_OR_CONFLICT
        case SlmError(status=502 | 503 | 504):
            return UNREACHABLE
        case SlmError(status=status) if 400 <= status < 500:
            return BAD_INPUT
        case OSError():
            return BAD_INPUT
        case typer.TyperException():
            return error.exit_code
        case _:
            return JOB_FAILED


def tell(error: BaseException) -> None:
    """Print an error and its hint on standard error."""
    if isinstance(error, BrokenPipeError):
        return
    message, hint = _message(error), _hint(error)
    errors.print(f"Error: {printable(message)}", style="red", markup=False, highlight=False, soft_wrap=True)
    if hint:
        errors.print(f"Hint: {printable(hint)}", markup=False, highlight=False, soft_wrap=True)


def _message(error: BaseException) -> str:
    match error:
        case SlmError() if error.errors:
            told = "; ".join(f"{each.field} {each.message}".strip() for each in error.errors)
            return told if error.errors[0].message in error.message else f"{error.message.rstrip('.')}: {told}"
        case SlmError() | FailedJobError():
            return str(error)
        case typer.TyperException():
            return error.format_message()
        case OSError():
            return f"{error.strerror or type(error).__name__}: {error.filename or 'no file named'}"
        case _:
            return f"This command failed unexpectedly ({type(error).__name__})."


def _hint(error: BaseException) -> str | None:
    match error:
        case SlmError(hint_code=str(code)) if code in HINTS:
            return HINTS[code]
        case SlmError() | FailedJobError() if error.hint:
            return error.hint
        case SlmError(status=status, request_id=request_id) if status >= 500 and request_id:
            return f"the platform's logs tell more under request id {request_id}"
        case typer.TyperException():
            context = getattr(error, "ctx", None)
            return f"see `{context.command_path if context else 'slm'} --help`"
        case SlmError() | FailedJobError() | OSError():
            return None
        case _:
            return "set SLM_DEBUG=1 to see where"
