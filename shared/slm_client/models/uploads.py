"""Uploads in parts."""

from collections.abc import Sequence
from datetime import datetime

from slm_client.models.base import Answer


class UploadPart(Answer):
    """One part; `url` is the signed address to send it to, None to send it through the gateway."""

    number: int
    offset: int
    size_bytes: int
    is_stored: bool = False
    url: str | None = None


class UploadState(Answer):
    """An upload in parts; it is removed at `expires_at` if it is not completed."""

    id: str
    status: str
    file_name: str
    size_bytes: int
    part_bytes: int
    parts: Sequence[UploadPart] = ()
    expires_at: datetime | None = None
