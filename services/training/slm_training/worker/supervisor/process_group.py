"""Several processes for one training on this machine: torchrun starts the same child once per process."""

import sys
from pathlib import Path

from slm_shared.jobs.child import RUN_MODULE, Child, model_environment
from slm_training.worker.job import JOB_VARIABLE, TrainingJob
from slm_training.worker.supervisor.warm_child import MODULE


async def start_group(job: TrainingJob, work_dir: Path, *, log_path: Path) -> Child:
    """Start as many children as the job asks for and connect the first one to us; the others only compute.

    Each reads the job from a file, for only the first has the supervisor's ear. When one ends badly torchrun ends all.
    """
    job_file = job.output_folder.with_name("job.json")
    job_file.write_text(job.model_dump_json())
    processes = job.run.config.num_processes
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    environment = {**model_environment(work_dir), JOB_VARIABLE: str(job_file)}
    return await Child.start([*command, *RUN_MODULE[1:], MODULE], env=environment, log_path=log_path)
