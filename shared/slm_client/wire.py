"""From a `Call` to HTTP and back: headers, bodies, answers, errors; both clients use it."""

import io
import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, cast

import httpx2
from pydantic import TypeAdapter, ValidationError

from slm_client.calls.base import Call, Nothing, ProgressCallback
from slm_client.errors import SlmError, UnexpectedAnswerError, UnreachableError

DEFAULT_GATEWAY = "http://127.0.0.1:8000"
GATEWAY_VARIABLE = "SLM_GATEWAY_URL"
LOOPBACK_HOSTS = {"127.0.0.1", "::1", "localhost"}
CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 60.0
# The answer to an upload comes only when the whole file is stored.
UPLOAD_READ_TIMEOUT_S = 600.0

T = TypeVar("T")


def gateway_address(given: str | None) -> str:
    """The address to use: the one given, else `SLM_GATEWAY_URL`, else the single-machine stack's."""
    address = (given or os.environ.get(GATEWAY_VARIABLE) or DEFAULT_GATEWAY).rstrip("/")
    try:
        url = httpx2.URL(address)
    except httpx2.InvalidURL:
        url = httpx2.URL("")
    if url.scheme not in {"http", "https"} or not url.host:
        raise SlmError(
            "The gateway address is not an http(s) URL.",
            code="address_invalid",
            status=422,
            hint=f"e.g. {DEFAULT_GATEWAY}",
        )
    return address


def client_options(address: str, *, answer_within_s: float) -> dict[str, Any]:
    """How both HTTP clients are set up; a proxy from the environment is never asked for this very machine."""
    return {
        "base_url": address,
        "timeout": httpx2.Timeout(answer_within_s, connect=CONNECT_TIMEOUT_S),
        "trust_env": httpx2.URL(address).host not in LOOPBACK_HOSTS,
        "headers": {"User-Agent": "slm-client", "Accept": "application/json"},
    }


class CountingFile(io.RawIOBase):
    """A file that reports how many bytes were read; a retry goes back to the start and reports a negative number."""

    def __init__(self, file: io.BufferedReader, on_progress: ProgressCallback | None) -> None:
        super().__init__()
        self._file = file
        self._on_progress = on_progress
        self._reported = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._file.fileno()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        position = self._file.seek(offset, whence)
        self._report(position - self._reported)
        return position

    def readinto(self, buffer: Any) -> int:
        count = self._file.readinto(buffer)
        self._report(count)
        return count

    def close(self) -> None:
        self._file.close()
        super().close()

    def _report(self, count: int) -> None:
        self._reported += count
        if self._on_progress and count:
            self._on_progress(count)


def headers_for(call: Call[Any]) -> dict[str, str]:
    """The headers of the call, and for a POST its Idempotency-Key or a fresh one, which every retry carries again."""
    key = {"Idempotency-Key": call.idempotency_key or str(uuid.uuid4())} if call.method == "POST" else {}
    return {**key, **call.headers}


def request_options(call: Call[Any]) -> dict[str, Any]:
    """The arguments of `build_request` beside method, address and headers; opens the file of an upload."""
    options: dict[str, Any] = {"params": dict(call.params)}
    if call.json is not None:
        options["json"] = dict(call.json)
    if call.content is not None:
        options["content"] = call.content
    if call.upload is not None:
        file = CountingFile(call.upload.path.open("rb"), call.upload.on_progress)
        options["files"] = {"file": (call.upload.filename, file)}
        options["data"] = dict(call.upload.fields)
        options["timeout"] = httpx2.Timeout(UPLOAD_READ_TIMEOUT_S, connect=CONNECT_TIMEOUT_S)
    return options


def close_files(options: Mapping[str, Any]) -> None:
    """Close what `request_options` opened."""
    for _, file in options.get("files", {}).values():
        file.close()


class PartialFile:
    """A file being received; it appears under its name only when it is complete, and an incomplete one is removed."""

    def __init__(self, target: Path, on_progress: ProgressCallback | None) -> None:
        self._target = target
        self._partial = target.with_name(f".{target.name}.partial")
        self._on_progress = on_progress
        self.size_bytes = 0

    def __enter__(self) -> Self:
        self._file = self._partial.open("wb")
        return self

    def write(self, chunk: bytes) -> None:
        """Append what just arrived."""
        self._file.write(chunk)
        self.size_bytes += len(chunk)
        if self._on_progress:
            self._on_progress(len(chunk))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if kind is None:
            self._partial.replace(self._target)
        self._partial.unlink(missing_ok=True)


@contextmanager
def raises_unreachable(address: str) -> Iterator[None]:
    """Raise UnreachableError for a connection that breaks inside the block."""
    try:
        yield
    except httpx2.TransportError as error:
        raise UnreachableError(address) from error


def answer_of(call: Call[T], response: httpx2.Response) -> T:
    """The typed answer. Raises SlmError for a refusal, UnexpectedAnswerError for an answer of another form."""
    raise_for_problem(response)
    if call.answer is str:
        return cast(T, response.text)
    if call.answer is Nothing:
        return call.answer()
    try:
        return TypeAdapter(call.answer).validate_json(response.content)
    except ValidationError as error:
        raise UnexpectedAnswerError(f"{call.method} {call.path}", status=response.status_code) from error


def raise_unless_stored(response: httpx2.Response) -> None:
    """Raise SlmError when an object store rejected what was sent."""
    if not response.is_success:
        raise SlmError(
            "The object store rejected a part of the file.",
            code="part_refused",
            status=response.status_code,
            hint="Begin the upload again; the address of the part may have expired.",
        )


def raise_for_problem(response: httpx2.Response) -> None:
    """Raise the SlmError that a read response describes, if it is not a success."""
    if response.is_success:
        return
    try:
        problem = response.json()
    except ValueError:
        problem = {}
    if not isinstance(problem, dict) or "status" not in problem:
        what = f"{response.request.method} {response.request.url.path}"
        raise UnexpectedAnswerError(what, status=response.status_code)
    raise SlmError.from_problem(response.status_code, problem)
