"""Reading a multipart form while it arrives: its one file goes on to a sink, piece by piece.

Format: RFC 7578. Nothing is kept on disk, and only a few MB of the file are in memory.
"""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from email.message import Message
from typing import TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

from slm_shared.errors import FieldProblem, InvalidError, MalformedError, TooLargeError
from slm_shared.http.problems import invalid_request

# The file and twenty others.
MAX_FIELDS = 21
MAX_FIELD_BYTES = 64 * 1024
MAX_HEADERS = 8
MAX_HEADER_BYTES = 4096
# What the form's own headers and fields may add to the file.
FORM_OVERHEAD_BYTES = 1024 * 1024

Sink = Callable[[bytes], Awaitable[object]]
B = TypeVar("B", bound=BaseModel)


class MultipartInvalidError(MalformedError):
    """The form cannot be read."""

    code = "multipart_invalid"


class FileMissingError(InvalidError):
    """The form has no file."""

    code = "file_missing"


class FileTooLargeError(TooLargeError):
    """The file is larger than allowed."""

    code = "too_large"


@dataclass
class _Field:
    """One field of a form (a "body part" in RFC 7578): its headers and its name."""

    headers: dict[str, str] = field(default_factory=dict)
    name: str = ""
    file_name: str | None = None


class Form:
    """A form as far as it has arrived: its text fields, and the name of the file in its field `file`."""

    def __init__(self, boundary: str) -> None:
        self.texts: dict[str, list[str]] = {}
        self.file_name: str | None = None
        self.has_ended = False
        self._pending: list[bytes] = []
        self._field = _Field()
        self._header = [b"", b""]
        self._value = bytearray()
        self._count = 0
        callbacks = {
            "on_part_begin": self._field_begins,
            "on_part_data": self._field_data,
            "on_part_end": self._field_ends,
            "on_header_field": lambda data, start, end: self._add_header(0, data[start:end]),
            "on_header_value": lambda data, start, end: self._add_header(1, data[start:end]),
            "on_header_end": self._header_ends,
            "on_headers_finished": self._headers_end,
            "on_end": self._form_ends,
        }
        self._parser = MultipartParser(
            boundary.encode("latin-1"),
            callbacks,  # type: ignore[arg-type]  # a typed dictionary of the very same functions
            max_header_count=MAX_HEADERS,
            max_header_size=MAX_HEADER_BYTES,
        )

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take a piece of the body; the bytes of the file in it. Raises MultipartInvalidError."""
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise MultipartInvalidError("The form cannot be read.") from error
        taken, self._pending = self._pending, []
        return taken

    def _field_begins(self) -> None:
        self._count += 1
        if self._count > MAX_FIELDS:
            raise MultipartInvalidError(f"The form has more than {MAX_FIELDS} fields.")
        self._field = _Field()
        self._value = bytearray()

    def _add_header(self, place: int, data: bytes) -> None:
        self._header[place] += data

    def _header_ends(self) -> None:
        name, value = (each.decode("utf-8", "replace") for each in self._header)
        self._field.headers[name.lower()] = value
        self._header = [b"", b""]

    def _headers_end(self) -> None:
        message = Message()
        message["content-disposition"] = self._field.headers.get("content-disposition", "")
        name, file_name = (message.get_param(key, header="content-disposition") for key in ("name", "filename"))
        if not isinstance(name, str):
            raise MultipartInvalidError("A field of the form has no name.")
        self._field.name = name
        if name != "file":
            return
        if self.file_name is not None:
            raise MultipartInvalidError("The form has more than one file.")
        if file_name is None:
            raise FileMissingError(
                "The field `file` is not a file.", errors=[FieldProblem("file", "needs a file name")]
            )
        self.file_name = file_name if isinstance(file_name, str) else str(file_name[2])

    def _field_data(self, data: bytes, start: int, end: int) -> None:
        if self._field.name == "file":
            self._pending.append(data[start:end])
            return
        self._value += data[start:end]
        if len(self._value) > MAX_FIELD_BYTES:
            raise MultipartInvalidError(f"The field {self._field.name[:50]} is larger than {MAX_FIELD_BYTES} bytes.")

    def _field_ends(self) -> None:
        if self._field.name == "file":
            return
        try:
            text = self._value.decode("utf-8")
        except UnicodeDecodeError:
            raise MultipartInvalidError(f"The field {self._field.name[:50]} is not UTF-8.") from None
        if "\0" in text:
            raise MultipartInvalidError(f"The field {self._field.name[:50]} holds a NUL character.")
        if text:
            self.texts.setdefault(self._field.name, []).append(text)

    def _form_ends(self) -> None:
        self.has_ended = True

    def checked(self, model: type[B], *, lists: Collection[str] = ()) -> B:
        """The text fields as `model` has them, those in `lists` with every value sent. Raises InvalidError."""
        values = {name: each if name in lists else each[-1] for name, each in self.texts.items()}
        try:
            return model.model_validate(values)
        except ValidationError as error:
            raise invalid_request(error.errors()) from None


async def read_form(request: Request, *, max_bytes: int, sink: Sink, hint: str | None = None) -> Form:
    """Read a form to its end; its file goes to `sink` as it arrives. `hint` says what to do about a larger file.

    Raises FileTooLargeError as soon as the limit is crossed, MultipartInvalidError and FileMissingError.
    """
    too_large = FileTooLargeError(f"The file is larger than {max_bytes} bytes.", hint=hint)
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > max_bytes + FORM_OVERHEAD_BYTES:
        raise too_large
    form = Form(_boundary(request.headers.get("content-type", "")))
    form_bytes = file_bytes = 0
    async for chunk in request.stream():
        form_bytes += len(chunk)
        # Fields that are no file count too, and a client may announce less than it sends.
        if form_bytes > max_bytes + FORM_OVERHEAD_BYTES:
            raise too_large
        for piece in form.feed(chunk):
            file_bytes += len(piece)
            if file_bytes > max_bytes:
                raise too_large
            await sink(piece)
    if not form.has_ended:
        raise MultipartInvalidError("The form is cut off.")
    if form.file_name is None:
        problem = FieldProblem("file", "is required")
        raise FileMissingError("The form has no file.", errors=[problem], hint="Send it in the field `file`.")
    return form


def _boundary(content_type: str) -> str:
    message = Message()
    message["content-type"] = content_type
    boundary = message.get_param("boundary")
    is_printable = isinstance(boundary, str) and 0 < len(boundary) <= 70 and boundary.isascii()
    if message.get_content_type() != "multipart/form-data" or not is_printable:
        raise MultipartInvalidError("The upload must be a multipart form.", hint="Send the file in the field `file`.")
    return str(boundary)
