"""The child process that measures, started by the supervisor only, through `slm_shared.jobs.run_module`.

It serves one job after the other until its supervisor ends it. It has no credentials and no network.
"""

import traceback
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NoReturn

from transformers.utils.logging import disable_progress_bar

from slm_evaluation.worker.job import EvaluationJob, RefusedError
from slm_evaluation.worker.measuring import measure
from slm_ml.encoding import RowFormatError
from slm_shared.jobs.child import Parent

NOT_INSTALLED = (
    "The evaluation worker cannot run benchmark suites: install `slm-platform[suites]` where it runs, then try again."
)

Progress = Callable[[int, int], None]


def main() -> NoReturn:
    """Serve jobs until the supervisor ends this process."""
    parent = Parent()
    disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers leaves it without types
    parent.send("ready")
    while True:
        job = EvaluationJob.model_validate(parent.receive()["job"])
        _serve(parent, job)


def _serve(parent: Parent, job: EvaluationJob) -> None:
    try:
        run = measure if job.lease.settings.suite is None else _suite_runner()
        result = run(job, lambda rows, total: parent.send("progress", rows=rows, total=total))
        parent.send("result", result=result)
    except RefusedError as error:
        parent.send("error", code=error.code, message=str(error), blame="user")
    except RowFormatError as error:
        parent.send("error", code="row_format", message=f"The dataset cannot be measured: {error}.", blame="user")
    except Exception as error:  # noqa: BLE001  the edge of the child: whatever happened, the supervisor is told
        traceback.print_exc()
        message = f"The evaluation ended with an unexpected {type(error).__name__}; the log has the details."
        parent.send("error", code="evaluation_error", message=message, blame="system")


def _suite_runner() -> Callable[[EvaluationJob, Progress], dict[str, Any]]:
    """What runs suites, imported with the first one: it takes seconds. Raises RefusedError where it is missing."""
    if find_spec("lm_eval") is None:
        raise RefusedError("suites_not_installed", NOT_INSTALLED)
    runner: Callable[[EvaluationJob, Progress], dict[str, Any]]
    runner = import_module("slm_evaluation.worker.suites").run_suite
    return runner
