"""`client.datasets`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from slm_client import calls
from slm_client.calls import ProgressCallback, UploadOptions
from slm_client.models import (
    Dataset,
    DatasetComparison,
    DatasetProblems,
    DatasetReport,
    Page,
    Preview,
    Split,
    TokenReport,
    UploadState,
)
from slm_client.parts import PartedFile, size_of
from slm_client.resources.base import Resource, poll


class Datasets(Resource):
    """`client.datasets`; a reference is an id, a `<family>-v<n>` or a family (its latest version)."""

    def upload(
        self,
        path: Path,
        options: UploadOptions | None = None,
        *,
        on_progress: ProgressCallback | None = None,
        **given: Any,
    ) -> Dataset:
        """Send a file in one request; the answer is `in_progress` and `wait` tells how it went.

        Options are those of `UploadOptions`, as one or by name. `on_progress` gets bytes sent.
        """
        how = options or UploadOptions(**given)
        return self._client.send(calls.upload_dataset(path, how, on_progress=on_progress))

    def upload_in_parts(
        self,
        path: Path,
        options: UploadOptions | None = None,
        *,
        resume: str | None = None,
        on_begin: Callable[[UploadState], None] | None = None,
        on_progress: ProgressCallback | None = None,
        **given: Any,
    ) -> Dataset:
        """Send a big file in parts; each that fails is sent again by itself, and `resume` takes up an upload by its id.

        Raises SlmError, among others when the file is not the one that was begun with.
        """
        how = options or UploadOptions(**given)
        fields = {"name": path.stem, **how.fields()}
        state = self._client.send(
            calls.get_upload(resume)
            if resume
            else calls.begin_upload(fields, file_name=path.name, size_bytes=size_of(path))
        )
        if on_begin:
            on_begin(state)
        file = PartedFile(path, state, on_progress)
        for each in file.missing():
            if each.part.url is None:
                self._client.send(calls.put_part(state.id, each.part.number, each.data, sha256=each.sha256))
            else:
                self._client.put(each.part.url, each.data)
        return self._client.send(calls.complete_upload(state.id, sha256=file.sha256))

    def abort_upload(self, upload_id: str) -> None:
        """Give up an upload in parts."""
        self._client.send(calls.abort_upload(upload_id))

    def list(self, **filters: str | int | None) -> Page[Dataset]:
        """A page of datasets, newest first unless `sort` says otherwise (`name`, `-rows`, …).

        Filters: `usage`, `status`, `data_type`, `row_format`, `origin`, `owner`, `family`, `sha256`, `q` (part of the
        name); `limit` and `cursor` page.
        """
        return self._client.send(calls.list_datasets(**filters))

    def get(self, reference: object) -> Dataset:
        """One dataset."""
        return self._client.send(calls.get_dataset(reference))

    def preview(self, reference: object, *, offset: int = 0, limit: int = 20) -> Preview:
        """Rows `offset` to `offset + limit` of a processed dataset."""
        return self._client.send(calls.preview_dataset(reference, offset=offset, limit=limit))

    def download(
        self, reference: object, target: Path, *, file_format: str = "raw", on_progress: ProgressCallback | None = None
    ) -> int:
        """Save a dataset as `raw` (the uploaded file), `parquet`, `jsonl` or `csv`; returns the bytes written."""
        call = calls.download_dataset(reference, file_format=file_format)
        return self._client.save(call, target, on_progress=on_progress)

    def delete(self, reference: object) -> None:
        """Take a dataset version away from new work; models made of it keep their record."""
        self._client.send(calls.delete_dataset(reference))

    def retry(self, reference: object, **reading: Any) -> Dataset:
        """Process a dataset in error again without sending it again, e.g. with `on_bad_rows="skip"` or a `mapping`."""
        return self._client.send(calls.retry_dataset(reference, reading))

    def problems(self, reference: object) -> DatasetProblems:
        """What is wrong with the file of a dataset, with the place of each problem."""
        return self._client.send(calls.dataset_problems(reference))

    def report(self, reference: object) -> DatasetReport:
        """A profile of every column, and the quality of the rows once it is known."""
        return self._client.send(calls.dataset_report(reference))

    def wait_for_report(self, reference: object, *, timeout_s: float = 600.0) -> DatasetReport:
        """The report once the quality of the rows is known; raises WaitTimeoutError."""
        return poll(
            lambda: self.report(reference),
            lambda report: report.quality_status != "queued",
            what=f"The report of dataset {reference}",
            timeout_s=timeout_s,
        )

    def split(self, reference: object, *, validation_fraction: float = 0.1, seed: int = 42) -> Split:
        """Cut a dataset into a train and a validation dataset, always alike for a seed and a fraction."""
        return self._client.send(calls.split_dataset(reference, validation_fraction=validation_fraction, seed=seed))

    def request_token_report(self, reference: object, *, model: str, max_length: int = 512) -> TokenReport:
        """Ask what the rows become in front of a base model; asking the same again gives the same report."""
        return self._client.send(calls.request_token_report(reference, model=model, max_length=max_length))

    def get_token_report(self, reference: object, report_id: str) -> TokenReport:
        """One token report."""
        return self._client.send(calls.get_token_report(reference, report_id))

    def token_reports(self, reference: object, **page: str | int | None) -> Page[TokenReport]:
        """Token reports of a dataset, newest first."""
        return self._client.send(calls.list_token_reports(reference, **page))

    def token_report(
        self, reference: object, *, model: str, max_length: int = 512, timeout_s: float = 600.0
    ) -> TokenReport:
        """Ask for a token report and wait until it is `done` or `failed`; raises WaitTimeoutError."""
        asked = self.request_token_report(reference, model=model, max_length=max_length)
        return poll(
            lambda: self.get_token_report(reference, asked.id),
            lambda report: report.status != "queued",
            what=f"The token report of dataset {reference}",
            timeout_s=timeout_s,
        )

    def request_comparison(self, reference: object, *, other: str) -> DatasetComparison:
        """Ask how this dataset and another one differ, and which rows stand in both."""
        return self._client.send(calls.request_comparison(reference, other=other))

    def get_comparison(self, reference: object, comparison_id: str) -> DatasetComparison:
        """One comparison."""
        return self._client.send(calls.get_comparison(reference, comparison_id))

    def comparisons(self, reference: object, **page: str | int | None) -> Page[DatasetComparison]:
        """Comparisons of a dataset, newest first."""
        return self._client.send(calls.list_comparisons(reference, **page))

    def compare(self, reference: object, *, other: str, timeout_s: float = 600.0) -> DatasetComparison:
        """Ask for a comparison and wait until it is `done` or `failed`; raises WaitTimeoutError."""
        asked = self.request_comparison(reference, other=other)
        return poll(
            lambda: self.get_comparison(reference, asked.id),
            lambda comparison: comparison.status != "queued",
            what=f"The comparison of {reference} with {other}",
            timeout_s=timeout_s,
        )

    def card(self, reference: object) -> str:
        """The card of a dataset as markdown."""
        return self._client.send(calls.dataset_card(reference))

    def croissant(self, reference: object) -> dict[str, Any]:
        """The description of a dataset as Croissant JSON-LD."""
        return self._client.send(calls.dataset_croissant(reference)).content()

    def save_thumbnail(self, reference: object, row: int, target: Path) -> int:
        """Save the image of one row (from 0), at most 128 pixels wide and high, as PNG."""
        return self._client.save(calls.dataset_thumbnail(reference, row), target)

    def wait(
        self, reference: object, *, timeout_s: float = 600.0, on_change: Callable[[Dataset], None] | None = None
    ) -> Dataset:
        """The dataset once it is `processed` or `error`; raises WaitTimeoutError."""
        return poll(
            lambda: self.get(reference),
            lambda dataset: dataset.status != "in_progress",
            what=f"Processing of dataset {reference}",
            timeout_s=timeout_s,
            on_change=on_change,
        )
