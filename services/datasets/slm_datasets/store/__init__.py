"""Every query of the datasets service."""

from slm_datasets.store.datasets import (
    SORTS, datasets_to_clean_up, delete_dataset, find_dataset, find_identical, grams_of, list_datasets, next_version,
    note_files_removed, restart_dataset, splits_under_way,
)  # fmt: skip
from slm_datasets.store.jobs import NEWEST_JOBS_FIRST, find_job, list_jobs, newest_job, request_job
from slm_datasets.store.queue import claim, finish, note_progress, release, renew
from slm_datasets.store.uploads import add_upload, close_upload, count_open_uploads, expire_uploads, find_upload
from slm_datasets.store.uses import note_run, note_run_end, runs_that_need
