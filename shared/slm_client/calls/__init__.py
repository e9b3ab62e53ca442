"""Every request of the public REST API, as data; the two clients only differ in how they send it."""

from slm_client.calls.base import UNSET, Call, JsonObject, Nothing, ProgressCallback, Unset, Upload, changes_of
from slm_client.calls.datasets import (
    delete_dataset,
    download_dataset,
    get_dataset,
    list_datasets,
    preview_dataset,
    upload_dataset,
)
from slm_client.calls.evaluations import get_evaluation, list_evaluations
from slm_client.calls.experiments import experiment_log, experiment_metrics, get_experiment, list_experiments
from slm_client.calls.models import (
    compare_models,
    delete_model,
    download_model,
    edit_model,
    get_model,
    list_models,
    model_aliases,
    model_card,
    model_card_markdown,
    model_lineage,
    model_usage,
    point_alias,
    remove_alias,
)
from slm_client.calls.platform import overview
from slm_client.calls.runs import cancel_run, get_run, launch_run, list_runs

__all__ = [
    "UNSET",
    "Call",
    "JsonObject",
    "Nothing",
    "ProgressCallback",
    "Unset",
    "Upload",
    "cancel_run",
    "changes_of",
    "compare_models",
    "delete_dataset",
    "delete_model",
    "download_dataset",
    "download_model",
    "edit_model",
    "experiment_log",
    "experiment_metrics",
    "get_dataset",
    "get_evaluation",
    "get_experiment",
    "get_model",
    "get_run",
    "launch_run",
    "list_datasets",
    "list_evaluations",
    "list_experiments",
    "list_models",
    "list_runs",
    "model_aliases",
    "model_card",
    "model_card_markdown",
    "model_lineage",
    "model_usage",
    "overview",
    "point_alias",
    "preview_dataset",
    "remove_alias",
    "upload_dataset",
]
