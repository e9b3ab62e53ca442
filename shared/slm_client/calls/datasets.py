"""Requests about datasets."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Unpack

from slm_client.calls.base import Call, JsonObject, Nothing, PageFilters, ProgressCallback, Upload, address_of, given
from slm_client.models import (
    Dataset,
    DatasetComparison,
    DatasetProblems,
    DatasetReport,
    Page,
    Preview,
    Split,
    TokenReport,
)


class DatasetFilters(PageFilters, total=False):
    """Which datasets to list."""

    usage: str | None
    status: str | None
    data_type: str | None
    row_format: str | None
    origin: str | None
    owner: str | None
    family: str | None
    sha256: str | None
    q: str | None


@dataclass(frozen=True)
class UploadOptions:
    """How a file becomes a dataset; the platform detects what is None."""

    usage: str = "training"
    name: str | None = None
    description: str | None = None
    origin: str | None = None
    parents: Sequence[str] = ()
    prompt_column: str | None = None
    completion_column: str | None = None
    mapping: Mapping[str, str] = field(default_factory=dict)
    on_bad_rows: str | None = None
    delimiter: str | None = None
    has_header: bool | None = None
    sample_by: str | None = None

    def fields(self) -> dict[str, Any]:
        """The options that were given, as fields of the API."""
        plain = {name: value for name, value in vars(self).items() if value is not None and value not in ((), {})}
        return {name: list(value) if name == "parents" else value for name, value in plain.items()}


def upload(path: Path, options: UploadOptions, *, on_progress: ProgressCallback | None) -> Call[Dataset]:
    """Send a file as a new dataset version."""
    fields = {name: _as_text(value) for name, value in options.fields().items()}
    upload = Upload(path, path.name, {"name": path.stem, **fields}, on_progress)
    return Call("POST", "/api/datasets", Dataset, upload=upload)


def _as_text(value: Any) -> str:
    """The text of a form field."""
    if isinstance(value, list):
        return ",".join(value)
    return value if isinstance(value, str) else json.dumps(value)


def page(**filters: Unpack[DatasetFilters]) -> Call[Page[Dataset]]:
    """A page of datasets."""
    return Call("GET", "/api/datasets", Page[Dataset], params=given(**filters))


def get(reference: object) -> Call[Dataset]:
    """One dataset by id, `<family>-v<n>` or family."""
    return Call("GET", address_of("datasets", reference), Dataset)


def preview(reference: object, *, offset: int, limit: int) -> Call[Preview]:
    """A few rows of a processed dataset."""
    return Call(
        "GET", address_of("datasets", reference, "/preview"), Preview, params={"offset": offset, "limit": limit}
    )


def delete(reference: object) -> Call[Nothing]:
    """Delete a dataset version."""
    return Call("DELETE", address_of("datasets", reference), Nothing)


def download(reference: object, *, file_format: str) -> Call[Nothing]:
    """The bytes of a dataset."""
    return Call("GET", address_of("datasets", reference, "/download"), Nothing, params={"format": file_format})


def retry(reference: object, reading: Mapping[str, Any]) -> Call[Dataset]:
    """Process a failed dataset again, with other options."""
    return Call("POST", address_of("datasets", reference, ":retry"), Dataset, json=reading)


def problems(reference: object) -> Call[DatasetProblems]:
    """The problems of a file."""
    return Call("GET", address_of("datasets", reference, "/problems"), DatasetProblems)


def report(reference: object) -> Call[DatasetReport]:
    """Profile and quality."""
    return Call("GET", address_of("datasets", reference, "/report"), DatasetReport)


def split(reference: object, *, validation_fraction: float, seed: int) -> Call[Split]:
    """Split a dataset into a training and a validation dataset."""
    body = {"validation_fraction": validation_fraction, "seed": seed}
    return Call("POST", address_of("datasets", reference, ":split"), Split, json=body)


def request_token_report(reference: object, *, model: str, max_length: int) -> Call[TokenReport]:
    """Request a token report of a dataset for a base model."""
    body = {"model": model, "max_length": max_length}
    return Call("POST", address_of("datasets", reference, "/token_reports"), TokenReport, json=body)


def get_token_report(reference: object, report_id: str) -> Call[TokenReport]:
    """One token report."""
    return Call("GET", address_of("datasets", reference, f"/token_reports/{report_id}"), TokenReport)


def token_reports(reference: object, **page: Unpack[PageFilters]) -> Call[Page[TokenReport]]:
    """Token reports of a dataset, newest first."""
    path = address_of("datasets", reference, "/token_reports")
    return Call("GET", path, Page[TokenReport], params=given(**page))


def request_comparison(reference: object, *, other: str) -> Call[DatasetComparison]:
    """Request a comparison of two datasets."""
    return Call("POST", address_of("datasets", reference, "/comparisons"), DatasetComparison, json={"other": other})


def get_comparison(reference: object, comparison_id: str) -> Call[DatasetComparison]:
    """One comparison."""
    return Call("GET", address_of("datasets", reference, f"/comparisons/{comparison_id}"), DatasetComparison)


def comparisons(reference: object, **page: Unpack[PageFilters]) -> Call[Page[DatasetComparison]]:
    """Comparisons of a dataset with others, newest first."""
    path = address_of("datasets", reference, "/comparisons")
    return Call("GET", path, Page[DatasetComparison], params=given(**page))


def thumbnail(reference: object, row: int) -> Call[Nothing]:
    """The image of one row (from 0), small, as PNG."""
    return Call("GET", address_of("datasets", reference, f"/thumbnails/{row}"), Nothing)


def card(reference: object) -> Call[str]:
    """The card of a dataset as markdown."""
    return Call("GET", address_of("datasets", reference, "/card"), str)


def croissant(reference: object) -> Call[JsonObject]:
    """The description of a dataset as Croissant JSON-LD."""
    return Call("GET", address_of("datasets", reference, "/croissant"), JsonObject)
