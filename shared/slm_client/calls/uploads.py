"""Requests about uploads in parts."""

from typing import Any

from slm_client.calls.base import Call, Nothing
from slm_client.models import Dataset, UploadPart, UploadState

PATH = "/api/datasets/uploads"


def begin(fields: dict[str, Any], *, file_name: str, size_bytes: int) -> Call[UploadState]:
    """Begin an upload in parts."""
    body = {**fields, "file_name": file_name, "size_bytes": size_bytes}
    return Call("POST", PATH, UploadState, json=body)


def get(upload_id: str) -> Call[UploadState]:
    """The state of an upload: which parts are stored."""
    return Call("GET", f"{PATH}/{upload_id}", UploadState)


def put_part(upload_id: str, number: int, data: bytes, *, sha256: str) -> Call[UploadPart]:
    """Send one part through the gateway, with its checksum."""
    headers = {"X-Content-SHA256": sha256, "Content-Type": "application/octet-stream"}
    return Call("PUT", f"{PATH}/{upload_id}/parts/{number}", UploadPart, content=data, headers=headers)


def complete(upload_id: str, *, sha256: str) -> Call[Dataset]:
    """Complete an upload, which makes its dataset."""
    return Call("POST", f"{PATH}/{upload_id}:complete", Dataset, json={"sha256": sha256})


def abort(upload_id: str) -> Call[Nothing]:
    """Abort an upload."""
    return Call("DELETE", f"{PATH}/{upload_id}", Nothing)
