"""Requests about datasets."""

from pathlib import Path

from slm_client.calls.base import Call, Nothing, ProgressCallback, Upload, address_of, given
from slm_client.models import (
    Dataset,
    Page,
    Preview,
)


def upload_dataset(
    path: Path,
    *,
    name: str | None,
    usage: str,
    description: str | None,
    prompt_column: str | None,
    completion_column: str | None,
    on_progress: ProgressCallback | None,
) -> Call[Dataset]:
    """Send a file as a new dataset version."""
    fields = given(
        name=name or path.stem,
        usage=usage,
        description=description,
        prompt_column=prompt_column,
        completion_column=completion_column,
    )
    upload = Upload(path, path.name, fields, on_progress)
    return Call("POST", "/api/datasets", Dataset, upload=upload)


def list_datasets(**filters: str | int | None) -> Call[Page[Dataset]]:
    """A page of datasets."""
    return Call("GET", "/api/datasets", Page[Dataset], params=given(**filters))


def get_dataset(reference: object) -> Call[Dataset]:
    """One dataset by id, `<family>-v<n>` or family."""
    return Call("GET", address_of("datasets", reference), Dataset)


def preview_dataset(reference: object, *, offset: int, limit: int) -> Call[Preview]:
    """A few rows of a processed dataset."""
    return Call(
        "GET", address_of("datasets", reference, suffix="/preview"), Preview, params={"offset": offset, "limit": limit}
    )


def delete_dataset(reference: object) -> Call[Nothing]:
    """Take a dataset version away from new work."""
    return Call("DELETE", address_of("datasets", reference), Nothing)


def download_dataset(reference: object, *, file_format: str) -> Call[Nothing]:
    """The bytes of a dataset."""
    return Call("GET", address_of("datasets", reference, suffix="/download"), Nothing, params={"format": file_format})
