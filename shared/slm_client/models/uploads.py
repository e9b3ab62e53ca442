"""Uploads in parts."""

from collections.abc import Sequence
from datetime import datetime

from slm_client.models.base import Answer


class UploadPart(Answer):
    """One part; `url` is where it goes without credentials, None for through the gateway."""

    number: int
    offset: int
    size_bytes: int
    is_stored: bool = False
    url: str | None = None


class UploadState(Answer):
    """An upload in parts; it ends by itself at `expires_at`."""

    id: str
    status: str
    file_name: str
    size_bytes: int
    part_bytes: int
    parts: Sequence[UploadPart] = ()
    expires_at: datetime | None = None
