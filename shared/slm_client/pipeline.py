"""From a configuration to an evaluation: train, register, evaluate."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slm_client.config_file import data_file, name_of, overridden, read_config, with_dataset
from slm_client.errors import SlmError
from slm_client.models import Evaluation, Experiment

REGISTRATION_TIMEOUT_S = 600.0


class PipelineError(SlmError):
    """A stage of the pipeline failed."""

    status = 409


def prepared(config: Mapping[str, Any] | Path | str, model_version: str | None) -> tuple[dict[str, Any], Path | None]:
    """The settings of the run, and the file to upload first or None.

    `model_version` names the model family, `support` like `support-v2`: the registry counts the versions.
    """
    path = Path(config) if isinstance(config, str | Path) else None
    settings = read_config(path) if path else dict(config)  # type: ignore[arg-type]  # a mapping where it is no path
    if model_version is not None:
        family = re.sub(r"-v[0-9]+$", "", re.sub(r"[^a-z0-9]+", "-", model_version.lower()).strip("-"))
        settings = overridden(settings, {"family": family})
        if name_of(settings) is None:
            settings["name"] = family
    return settings, data_file(settings, beside=path)


def dataset_named(settings: Mapping[str, Any], path: Path, name: str) -> dict[str, Any]:
    """The settings with the uploaded dataset, and a name if they have none."""
    found = with_dataset(settings, name)
    if name_of(found) is None:
        found["name"] = path.stem
    return found


def completed(experiment: Experiment) -> Experiment:
    """The experiment if it completed. Raises PipelineError with what went wrong."""
    if experiment.status != "completed":
        why = experiment.error.message if experiment.error else f"it was {experiment.status}"
        code = experiment.error.code if experiment.error else experiment.status
        hint = f"`slm experiments log {experiment.id}` has its log."
        raise PipelineError(f"The training did not complete: {why}", code=code, hint=hint)
    return experiment


def evaluated(evaluation: Evaluation) -> Evaluation:
    """The evaluation if it completed. Raises PipelineError."""
    if evaluation.status != "completed":
        why = evaluation.error.message if evaluation.error else "no reason was given"
        raise PipelineError(f"The evaluation did not complete: {why}", code="evaluation_failed")
    return evaluation
