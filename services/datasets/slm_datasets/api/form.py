"""Reading the multipart form of an upload while it arrives: the file goes on to the object store, piece by piece.

Format: RFC 7578. Nothing is kept on disk, and only a few MB of the file are in memory.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from email.message import Message

from fastapi import Request
from pydantic import ValidationError
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

from slm_datasets.errors import FileMissingError, FileTooLargeError, MultipartInvalidError
from slm_datasets.schemas import UploadFields
from slm_shared.errors import FieldProblem, Hint
from slm_shared.http.problems import invalid_request

MAX_FIELDS = 20
MAX_FIELD_BYTES = 64 * 1024
MAX_HEADERS = 8
MAX_HEADER_BYTES = 4096
# What the form's own headers and fields may add to the file.
FORM_OVERHEAD_BYTES = 1024 * 1024

Sink = Callable[[bytes], Awaitable[None]]


@dataclass
class _Field:
    """One field of a form (a "body part" in RFC 7578): its headers and its name."""

    headers: dict[str, str] = field(default_factory=dict)
    name: str = ""
    file_name: str | None = None


class FormReader:
    """Reads one form; text fields end up in `fields`, the bytes of the field `file` in the sink."""

    def __init__(self, boundary: str) -> None:
        self.texts: dict[str, str] = {}
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
            self.texts[self._field.name] = text

    def _form_ends(self) -> None:
        self.has_ended = True

    def fields(self) -> UploadFields:
        """The text fields, checked. Raises InvalidError."""
        try:
            return UploadFields.model_validate(self.texts)
        except ValidationError as error:
            raise invalid_request(error.errors()) from None


async def read_form(request: Request, *, max_bytes: int, sink: Sink) -> FormReader:
    """Read a form to its end; its file goes to `sink` as it arrives.

    Raises FileTooLargeError as soon as the limit is crossed, MultipartInvalidError and FileMissingError.
    """
    limit = max_bytes + FORM_OVERHEAD_BYTES
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise _too_large(max_bytes)
    reader = FormReader(_boundary(request.headers.get("content-type", "")))
    size = 0
    async for chunk in _bounded(request, limit, max_bytes):
        for piece in reader.feed(chunk):
            size += len(piece)
            if size > max_bytes:
                raise _too_large(max_bytes)
            await sink(piece)
    if not reader.has_ended:
        raise MultipartInvalidError("The form is cut off.")
    if reader.file_name is None:
        problem = FieldProblem("file", "is required")
        raise FileMissingError("The form has no file.", errors=[problem], hint="Send it in the field `file`.")
    return reader


async def read_part(request: Request, *, max_bytes: int) -> bytes:
    """Read one part of an upload. Raises FileTooLargeError as soon as the limit is crossed."""
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > max_bytes:
            raise FileTooLargeError(f"A part of this upload has {max_bytes} bytes at most.")
    return bytes(data)


async def _bounded(request: Request, limit: int, told: int) -> AsyncIterator[bytes]:
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise _too_large(told)
        yield chunk


def _boundary(content_type: str) -> str:
    message = Message()
    message["content-type"] = content_type
    boundary = message.get_param("boundary")
    is_printable = isinstance(boundary, str) and 0 < len(boundary) <= 70 and boundary.isascii()
    if message.get_content_type() != "multipart/form-data" or not is_printable:
        raise MultipartInvalidError("The upload must be a multipart form.", hint="Send the file in the field `file`.")
    return str(boundary)


def _too_large(limit: int) -> FileTooLargeError:
    return FileTooLargeError(f"The upload is larger than {limit} bytes.", hint=Hint.UPLOAD_IN_PARTS)
