"""Every query of the training service."""

from slm_training.store.attempts import (
    add_checkpoint, attempts_of, checkpoints_of, end_attempt, forget_checkpoints, last_steps, note_resumed,
    open_attempt, reset_failures, start_attempt,
)  # fmt: skip
from slm_training.store.datasets import find_dataset, forget_dataset, project_dataset
from slm_training.store.jobs import AT_WORK, Job, add, change, jobs_ahead, move, note_transition, queue, requeue
from slm_training.store.listing import SORTS, list_runs
from slm_training.store.runs import (
    find_experiment, find_experiments, find_plan, find_run, locked_run, remove_draft, runs_that_ended, transitions_of,
)  # fmt: skip
from slm_training.store.telemetry import (
    EXTREMES_STEPS, add_telemetry, extremes_of, log_of, metrics_of, series_lengths,
)  # fmt: skip
from slm_training.store.workers import list_workers, note_worker, statistics
