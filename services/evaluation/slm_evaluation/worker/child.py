"""The child process that measures: `python -m slm_evaluation.worker.child`, started by the supervisor only.

It serves one job after the other until its supervisor ends it. It has no credentials and no network.
"""

import os
import sys
import traceback

from transformers.utils.logging import disable_progress_bar

from slm_evaluation.worker.job import EvaluationJob
from slm_evaluation.worker.measuring import NotFiniteError, NothingToMeasureError, measure
from slm_ml.encoding import RowFormatError
from slm_shared.child import Parent


def main() -> None:
    """Serve jobs for ever."""
    parent = Parent()
    disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers leaves it without types
    parent.send("ready")
    while True:
        job = EvaluationJob.model_validate(parent.receive()["job"])
        _serve(parent, job)


def _serve(parent: Parent, job: EvaluationJob) -> None:
    try:
        result = measure(job, lambda rows, total: parent.send("progress", rows=rows, total=total))
        parent.send("result", result=result)
    except NothingToMeasureError:
        parent.send("error", code="nothing_to_measure", message="No row leaves a token to score.", blame="user")
    except NotFiniteError:
        message = "The loss of the model is not a finite number: its weights are damaged."
        parent.send("error", code="model_not_finite", message=message, blame="user")
    except RowFormatError as error:
        parent.send("error", code="row_format", message=f"The dataset cannot be measured: {error}.", blame="user")
    except Exception as error:  # noqa: BLE001  the edge of the child: whatever happened, the supervisor is told
        traceback.print_exc()
        message = f"The evaluation ended with an unexpected {type(error).__name__}; the log has the details."
        parent.send("error", code="evaluation_error", message=message, blame="system")


if __name__ == "__main__":
    try:
        main()
    finally:
        sys.stderr.flush()
        os._exit(1)
