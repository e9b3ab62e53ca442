"""Running a benchmark suite with `lm-eval`; imported only where the extra `suites` is installed."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import version
from typing import Any

import datasets
import torch
from lm_eval.evaluator import simple_evaluate
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

from slm_evaluation.schemas.leases import SuiteRef
from slm_evaluation.worker.job import EvaluationJob, RefusedError
from slm_ml.data import read_rows
from slm_ml.model import load_model, load_tokenizer

SPLIT = "rows"
BATCH_SIZE = 8
# For standard errors of metrics that have no formula for them.
BOOTSTRAPS = 1000
NOT_REACHED = (
    "A task of the suite could not be loaded. Tasks that are not written out read their data from a hub: start the"
    " evaluation worker with HF_HUB_OFFLINE=0 where one can be reached, and look at the name of the task."
)

Progress = Callable[[int, int], None]


class WatchedModel(HFLM):  # type: ignore[misc]  # lm-eval has no types
    """The model as `lm-eval` calls it, telling after each batch that it is alive."""

    alive: Callable[[], None]

    def _model_call(self, *args: Any, **kwargs: Any) -> Any:
        self.alive()
        return super()._model_call(*args, **kwargs)

    def _model_generate(self, *args: Any, **kwargs: Any) -> Any:
        self.alive()
        return super()._model_generate(*args, **kwargs)


def run_suite(job: EvaluationJob, progress: Progress) -> dict[str, Any]:
    """Metrics by `<task>.<metric>`, and a report with versions, rows and standard errors.

    `progress` is told how many tasks are done, and of how many. Raises RefusedError.
    """
    suite = job.lease.settings.suite
    assert suite is not None
    # Together, so that nothing is measured before every task is known to be there.
    loaded = _load(job, suite)
    model = _model(job, suite)
    metrics: dict[str, float] = {}
    tasks: dict[str, Any] = {}
    for done, (name, task) in enumerate(loaded.items()):
        model.alive = partial(progress, done, len(loaded))
        found = _evaluate(model, task, suite)
        metrics |= {f"{name}.{metric}": value for metric, value in _values(found, name, stderr=False).items()}
        tasks[name] = _facts(found, name)
    report = {"suite": suite.name, "lm_eval": version("lm-eval"), "tasks": tasks}
    return {"rows": sum(each["rows"] for each in tasks.values()), "metrics": metrics, "samples": [], "report": report}


def _load(job: EvaluationJob, suite: SuiteRef) -> Mapping[str, Any]:
    """Every task by name, groups taken apart."""
    hub = any(isinstance(task, str) for task in suite.tasks)
    manager = TaskManager(include_defaults=hub)
    rows = _rows(job)
    specs = [task if isinstance(task, str) else _local(task, rows) for task in suite.tasks]
    try:
        found: Mapping[str, Any] = manager.load(specs)["tasks"]
    except (OSError, KeyError, ValueError) as error:
        raise RefusedError("suite_task_unavailable", NOT_REACHED) from error
    return found


def _local(task: dict[str, Any], rows: datasets.Dataset) -> dict[str, Any]:
    """A task about the rows; its examples come from the same rows, without the one that is asked."""
    splits = {"test_split": SPLIT, "fewshot_split": SPLIT}
    return {**task, **splits, "custom_dataset": lambda **_: {SPLIT: rows}}


def _rows(job: EvaluationJob) -> datasets.Dataset:
    """The rows of the dataset, their columns also under the names of the row format (`prompt`, `completion`)."""
    names = job.lease.dataset.mapping
    rows = [row | {name: row.get(column) for name, column in names.items()} for row in read_rows(job.rows)]
    return datasets.Dataset.from_list(rows)


def _model(job: EvaluationJob, suite: SuiteRef) -> WatchedModel:
    tokenizer = load_tokenizer(job.model_folder)
    if suite.chat and tokenizer.chat_template is None:
        raise RefusedError("suite_needs_chat", "The suite asks in chats, but the model has no chat template.")
    model = load_model(job.model_folder, dtype=torch.float32)
    model.train(False)
    return WatchedModel(pretrained=model, tokenizer=tokenizer, batch_size=BATCH_SIZE)


def _evaluate(model: WatchedModel, task: Any, suite: SuiteRef) -> dict[str, Any]:
    found: dict[str, Any] = simple_evaluate(
        model,
        tasks=[task],
        num_fewshot=suite.few_shot,
        limit=suite.limit,
        bootstrap_iters=BOOTSTRAPS,
        apply_chat_template=suite.chat,
        log_samples=False,
        task_manager=TaskManager(include_defaults=False),
    )
    return found


def _values(found: Mapping[str, Any], name: str, *, stderr: bool) -> dict[str, float]:
    """Values (or standard errors) by metric; the name of a filter is added unless it is `none`. No number, no entry."""
    values: dict[str, float] = {}
    for key, value in found["results"][name].items():
        metric, comma, filtered = key.partition(",")
        # numpy's numbers are floats; "N/A" stands for a standard error that there is none of.
        if comma and metric.endswith("_stderr") == stderr and not isinstance(value, str) and math.isfinite(value):
            metric = metric.removesuffix("_stderr")
            values[metric if filtered == "none" else f"{metric}.{filtered}"] = float(value)
    return values


def _facts(found: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {
        "version": str(found["versions"].get(name, "")),
        "rows": int(found["n-samples"][name]["effective"]),
        "few_shot": int(found["n-shot"].get(name, 0)),
        "stderr": _values(found, name, stderr=True),
        "higher_is_better": dict(found["higher_is_better"].get(name, {})),
    }
