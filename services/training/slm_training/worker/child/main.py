"""The child process that trains, started by the supervisor only, through `slm_shared.jobs.run_module`.

It imports everything slow, says `ready`, waits for a job, trains and exits; of plans it makes as many as it is asked
for. It speaks JSON lines and reads and writes files; it has no credentials and no network.
"""

import os
import tempfile
import warnings
from pathlib import Path

from slm_shared.jobs.child import Parent, die_with_parent
from slm_training.worker.child.device import facts_of_machine
from slm_training.worker.child.rehearsal import rehearsal_job, settle_memory
from slm_training.worker.child.reporting import Channel, NoChannel
from slm_training.worker.child.serving import serve
from slm_training.worker.child.training import run_training
from slm_training.worker.job import JOB_VARIABLE, TrainingJob


def main() -> int:
    """Serve one job; the exit status."""
    if (job_file := os.environ.get(JOB_VARIABLE)) is not None:
        return _serve_in_group(Path(job_file))
    parent = Parent()
    # Of no use to whoever reads the log of a failed run.
    warnings.simplefilter("ignore", FutureWarning)
    parent.send("ready", facts=facts_of_machine())
    with tempfile.TemporaryDirectory() as folder:
        run_training(rehearsal_job(Path(folder)), NoChannel())
    settle_memory()
    while True:
        job = TrainingJob.model_validate(parent.receive()["job"])
        if (status := serve(job, parent)) is not None:
            return status


def _serve_in_group(job_file: Path) -> int:
    """Do one process's part of a job; only the first of the group speaks."""
    channel: Channel
    if os.environ["RANK"] == "0":
        channel = Parent()
    else:
        die_with_parent()
        os.dup2(2, 1)
        channel = NoChannel()
    warnings.simplefilter("ignore", FutureWarning)
    return serve(TrainingJob.model_validate_json(job_file.read_text()), channel) or 0
