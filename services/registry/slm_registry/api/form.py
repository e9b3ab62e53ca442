"""Reading the multipart form of an uploaded model, within its limits."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import cast

from fastapi import HTTPException, Request, UploadFile
from pydantic import ValidationError
from starlette.datastructures import FormData
from starlette.datastructures import UploadFile as StarletteUploadFile
from starlette.formparsers import MultiPartException

from slm_registry.errors import ArchiveMissingError, ArchiveTooLargeError, MultipartInvalidError
from slm_registry.schemas import UploadFields
from slm_shared.errors import FieldProblem
from slm_shared.http.problems import invalid_request

# What the form's own headers and fields may add to the archive.
FORM_OVERHEAD_BYTES = 1024 * 1024
MAX_FIELDS = 20
MAX_FIELD_BYTES = 64 * 1024


class BoundedRequest(Request):
    """A request whose body may have `limit` bytes, however long it says that it is."""

    limit = 0
    is_too_large = False

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """The body in chunks; as soon as the limit is crossed, the parser is told so that it closes its files."""
        size = 0
        async for chunk in super().stream():
            size += len(chunk)
            if size > self.limit:
                self.is_too_large = True
                raise MultiPartException("too large")
            yield chunk


class Upload:
    """An upload that was read completely: its fields, and the archive in a temporary place."""

    def __init__(self, fields: UploadFields, file: UploadFile) -> None:
        self.fields = fields
        self.file = file.file


@asynccontextmanager
async def read_upload(request: Request, *, max_bytes: int) -> AsyncGenerator[Upload, None]:
    """Read the form; its archive lives as long as the block.

    Raises ArchiveTooLargeError, MultipartInvalidError, ArchiveMissingError and InvalidError.
    """
    limit = max_bytes + FORM_OVERHEAD_BYTES
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise _too_large(max_bytes)
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise MultipartInvalidError(
            "The upload must be a multipart form.", hint="Send the archive in the field `file`."
        )
    bounded = BoundedRequest(request.scope, request.receive)
    bounded.limit = limit
    try:
        form = await bounded.form(max_files=1, max_fields=MAX_FIELDS, max_part_size=MAX_FIELD_BYTES)
    except HTTPException as error:
        if bounded.is_too_large:
            raise _too_large(max_bytes) from error
        raise MultipartInvalidError("The form cannot be read, or has more than one file.") from error
    try:
        yield _upload_of(form)
    finally:
        await form.close()


def _upload_of(form: FormData) -> Upload:
    file = form.get("file")
    if not isinstance(file, StarletteUploadFile):
        problem = FieldProblem("file", "is required")
        raise ArchiveMissingError("The form has no archive.", errors=[problem], hint="Send it in the field `file`.")
    texts = [(name, value) for name, value in form.multi_items() if isinstance(value, str) and value != ""]
    fields: dict[str, object] = {name: value for name, value in texts if name != "tag"}
    if tags := [value for name, value in texts if name == "tag"]:
        fields["tags"] = tags
    try:
        return Upload(UploadFields.model_validate(fields), cast(UploadFile, file))
    except ValidationError as error:
        raise invalid_request(error.errors()) from None


def _too_large(limit: int) -> ArchiveTooLargeError:
    return ArchiveTooLargeError(f"The archive is larger than {limit} bytes.")
