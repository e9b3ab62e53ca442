"""Every query of the datasets service."""

from slm_datasets.store.datasets import (
    datasets_to_clean_up,
    delete_dataset,
    find_dataset,
    find_identical,
    grams_of,
    list_datasets,
    next_version,
    note_files_removed,
    restart_dataset,
    splits_under_way,
)
from slm_datasets.store.jobs import NEWEST_JOBS_FIRST, find_job, list_jobs, newest_job, request_job
from slm_datasets.store.pages import next_cursor
from slm_datasets.store.queue import claim, finish, note_progress, release, renew
from slm_datasets.store.uploads import add_upload, close_upload, count_open_uploads, expire_uploads, find_upload
from slm_datasets.store.uses import note_run, note_run_end, runs_that_need

__all__ = [
    "NEWEST_JOBS_FIRST",
    "add_upload",
    "claim",
    "close_upload",
    "count_open_uploads",
    "datasets_to_clean_up",
    "delete_dataset",
    "expire_uploads",
    "find_dataset",
    "find_identical",
    "find_job",
    "find_upload",
    "finish",
    "grams_of",
    "list_datasets",
    "list_jobs",
    "newest_job",
    "next_cursor",
    "next_version",
    "note_files_removed",
    "note_progress",
    "note_run",
    "note_run_end",
    "release",
    "renew",
    "request_job",
    "restart_dataset",
    "runs_that_need",
    "splits_under_way",
]
