"""`client.datasets`."""

from collections.abc import Callable
from pathlib import Path

from slm_client import calls
from slm_client.calls import ProgressCallback
from slm_client.models import Dataset, Page, Preview
from slm_client.resources.base import Resource, poll


class Datasets(Resource):
    """`client.datasets`; a reference is an id, a `<family>-v<n>` or a family (its latest version)."""

    def upload(
        self,
        path: Path,
        *,
        usage: str = "training",
        name: str | None = None,
        description: str | None = None,
        prompt_column: str | None = None,
        completion_column: str | None = None,
        on_progress: ProgressCallback | None = None,
    ) -> Dataset:
        """Send a file; the answer is `in_progress` and `wait` tells how it went. `on_progress` gets bytes sent."""
        return self._client.send(
            calls.upload_dataset(
                path,
                name=name,
                usage=usage,
                description=description,
                prompt_column=prompt_column,
                completion_column=completion_column,
                on_progress=on_progress,
            )
        )

    def list(
        self,
        *,
        usage: str | None = None,
        status: str | None = None,
        q: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[Dataset]:
        """A page of datasets, newest first."""
        return self._client.send(calls.list_datasets(usage=usage, status=status, q=q, limit=limit, cursor=cursor))

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
