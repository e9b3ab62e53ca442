"""`client.datasets`."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Unpack

from slm_client import calls
from slm_client.asynchronous.resource import AsyncResource
from slm_client.asynchronous.waiting import wait_until
from slm_client.calls.base import PageFilters, ProgressCallback
from slm_client.calls.datasets import DatasetFilters, UploadOptions
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
from slm_client.upload_parts import FileInParts, size_of

WORK_TIMEOUT_S = 600.0


class AsyncDatasets(AsyncResource):
    """`client.datasets`; a reference is an id, a `<family>-v<n>` or a family (its latest version)."""

    async def upload(
        self,
        path: Path,
        options: UploadOptions | None = None,
        *,
        on_progress: ProgressCallback | None = None,
        **given: Any,
    ) -> Dataset:
        """Upload a file in one request. The dataset is `in_progress` at first; `wait` returns it when it is processed.

        The fields of `UploadOptions` may also be given by name. `on_progress` gets the number of bytes sent.
        """
        options = options or UploadOptions(**given)
        return await self._client.send(calls.datasets.upload(path, options, on_progress=on_progress))

    async def upload_in_parts(
        self,
        path: Path,
        options: UploadOptions | None = None,
        *,
        resume: str | None = None,
        on_begin: Callable[[UploadState], None] | None = None,
        on_progress: ProgressCallback | None = None,
        **given: Any,
    ) -> Dataset:
        """Upload a large file in parts; a part that fails is sent again. `resume` continues the upload with this id.

        Raises SlmError, for example when `resume` belongs to another file.
        """
        options = options or UploadOptions(**given)
        fields = {"name": path.stem, **options.fields()}
        state = await self._client.send(
            calls.uploads.get(resume)
            if resume
            else calls.uploads.begin(fields, file_name=path.name, size_bytes=size_of(path))
        )
        if on_begin:
            on_begin(state)
        file = FileInParts(path, state, on_progress)
        for each in file.missing():
            if each.part.url is None:
                call = calls.uploads.put_part(state.id, each.part.number, each.data, sha256=each.sha256)
                await self._client.send(call)
            else:
                await self._client.put(each.part.url, each.data)
        return await self._client.send(calls.uploads.complete(state.id, sha256=file.sha256))

    async def abort_upload(self, upload_id: str) -> None:
        """Abort an upload in parts."""
        await self._client.send(calls.uploads.abort(upload_id))

    async def list(self, **filters: Unpack[DatasetFilters]) -> Page[Dataset]:
        """A page of datasets, newest first or by `sort`: `name`, `-rows` (descending) and so on.

        `q` is a part of the name.
        """
        return await self._client.send(calls.datasets.page(**filters))

    def list_all(self, **filters: Unpack[DatasetFilters]) -> AsyncIterator[Dataset]:
        """Every dataset that `list` has, page by page."""
        return self._client.items(calls.datasets.page(**filters))

    async def get(self, reference: object) -> Dataset:
        """One dataset."""
        return await self._client.send(calls.datasets.get(reference))

    async def preview(self, reference: object, *, offset: int = 0, limit: int = 20) -> Preview:
        """Rows `offset` to `offset + limit` of a processed dataset."""
        return await self._client.send(calls.datasets.preview(reference, offset=offset, limit=limit))

    async def download(
        self, reference: object, target: Path, *, file_format: str = "raw", on_progress: ProgressCallback | None = None
    ) -> int:
        """Save a dataset as `raw` (the uploaded file), `parquet`, `jsonl` or `csv`; returns the bytes written."""
        call = calls.datasets.download(reference, file_format=file_format)
        return await self._client.save(call, target, on_progress=on_progress)

    async def delete(self, reference: object) -> None:
        """Delete a dataset version for new work; models trained on it keep their record."""
        await self._client.send(calls.datasets.delete(reference))

    async def retry(self, reference: object, **reading: Any) -> Dataset:
        """Process a failed dataset again without a new upload, e.g. with `on_bad_rows="skip"` or a `mapping`."""
        return await self._client.send(calls.datasets.retry(reference, reading))

    async def problems(self, reference: object) -> DatasetProblems:
        """The problems of a dataset's file, each with its place."""
        return await self._client.send(calls.datasets.problems(reference))

    async def report(self, reference: object) -> DatasetReport:
        """A profile of every column, and the quality of the rows once it is known."""
        return await self._client.send(calls.datasets.report(reference))

    async def wait_for_report(self, reference: object, *, timeout_s: float = WORK_TIMEOUT_S) -> DatasetReport:
        """Wait until the quality of the rows is known, and return the report; raises WaitTimeoutError."""
        return await wait_until(
            lambda: self.report(reference),
            lambda report: report.quality_status != "queued",
            what=f"The report of dataset {reference} was not finished",
            timeout_s=timeout_s,
        )

    async def split(self, reference: object, *, validation_fraction: float = 0.1, seed: int = 42) -> Split:
        """Split a dataset into a training and a validation dataset; the same seed gives the same split."""
        return await self._client.send(
            calls.datasets.split(reference, validation_fraction=validation_fraction, seed=seed)
        )

    async def request_token_report(self, reference: object, *, model: str, max_length: int = 512) -> TokenReport:
        """Request a report of the tokens that a base model reads; the same request gives the same report."""
        call = calls.datasets.request_token_report(reference, model=model, max_length=max_length)
        return await self._client.send(call)

    async def get_token_report(self, reference: object, report_id: str) -> TokenReport:
        """One token report."""
        return await self._client.send(calls.datasets.get_token_report(reference, report_id))

    async def token_reports(self, reference: object, **page: Unpack[PageFilters]) -> Page[TokenReport]:
        """Token reports of a dataset, newest first."""
        return await self._client.send(calls.datasets.token_reports(reference, **page))

    async def token_report(
        self, reference: object, *, model: str, max_length: int = 512, timeout_s: float = WORK_TIMEOUT_S
    ) -> TokenReport:
        """Request a token report and wait until it is `done` or `failed`; raises WaitTimeoutError."""
        asked = await self.request_token_report(reference, model=model, max_length=max_length)
        return await wait_until(
            lambda: self.get_token_report(reference, asked.id),
            lambda report: report.status != "queued",
            what=f"The token report of dataset {reference} was not finished",
            timeout_s=timeout_s,
        )

    async def request_comparison(self, reference: object, *, other: str) -> DatasetComparison:
        """Request a comparison with another dataset: how they differ, and which rows are in both."""
        return await self._client.send(calls.datasets.request_comparison(reference, other=other))

    async def get_comparison(self, reference: object, comparison_id: str) -> DatasetComparison:
        """One comparison."""
        return await self._client.send(calls.datasets.get_comparison(reference, comparison_id))

    async def comparisons(self, reference: object, **page: Unpack[PageFilters]) -> Page[DatasetComparison]:
        """Comparisons of a dataset, newest first."""
        return await self._client.send(calls.datasets.comparisons(reference, **page))

    async def compare(self, reference: object, *, other: str, timeout_s: float = WORK_TIMEOUT_S) -> DatasetComparison:
        """Request a comparison and wait until it is `done` or `failed`; raises WaitTimeoutError."""
        asked = await self.request_comparison(reference, other=other)
        return await wait_until(
            lambda: self.get_comparison(reference, asked.id),
            lambda comparison: comparison.status != "queued",
            what=f"The comparison of {reference} with {other} was not finished",
            timeout_s=timeout_s,
        )

    async def card(self, reference: object) -> str:
        """The card of a dataset as markdown."""
        return await self._client.send(calls.datasets.card(reference))

    async def croissant(self, reference: object) -> dict[str, Any]:
        """The description of a dataset as Croissant JSON-LD."""
        return (await self._client.send(calls.datasets.croissant(reference))).content()

    async def save_thumbnail(self, reference: object, row: int, target: Path) -> int:
        """Save the image of one row (from 0), at most 128 pixels wide and high, as PNG."""
        return await self._client.save(calls.datasets.thumbnail(reference, row), target)

    async def wait(
        self,
        reference: object,
        *,
        timeout_s: float = WORK_TIMEOUT_S,
        on_change: Callable[[Dataset], None] | None = None,
    ) -> Dataset:
        """Wait until a dataset is `processed` or in `error`, and return it; raises WaitTimeoutError."""
        return await wait_until(
            lambda: self.get(reference),
            lambda dataset: dataset.status != "in_progress",
            what=f"Dataset {reference} was not processed",
            timeout_s=timeout_s,
            on_change=on_change,
        )
