"""The driver of a Ray cluster: `python -m slm_training.worker.cluster.driver OPTIONS`, started by the supervisor only.

It runs on a node of the cluster, speaks as `worker.child.main` does, and tells, whenever it is asked, what the
cluster has. With it ends everything that it started there.
"""

import logging
import os
import socket
import sys
import traceback
import warnings
from collections.abc import Mapping
from typing import Any

import ray

from slm_shared.errors import DISK_FULL, DISK_FULL_MESSAGE, is_disk_full
from slm_shared.jobs.child import Parent
from slm_training.worker.child.device import GIGABYTE, facts_of_machine
from slm_training.worker.cluster.failures import Message, error, failure_message
from slm_training.worker.cluster.options import ClusterOptions
from slm_training.worker.cluster.submission import Submission
from slm_training.worker.errors import EXIT_DRAINED, EXIT_FAILED
from slm_training.worker.job import TrainingJob

CONNECT_TIMEOUT_S = 10.0


def main() -> int:
    """Serve one job, or as many plans as are asked for; the exit status."""
    parent = Parent()
    warnings.simplefilter("ignore")
    options = ClusterOptions.model_validate_json(sys.argv[1])
    try:
        _check_reachable(options.address)
        ray.init(address=options.address, log_to_driver=False, logging_level=logging.WARNING)
    except (OSError, RuntimeError, ValueError):
        traceback.print_exc()
        sys.stderr.write(f"The Ray cluster at {options.address} cannot be reached from here.\n")
        return EXIT_FAILED
    parent.send("ready", facts=facts_of_cluster(options))
    while True:
        request = parent.receive()
        if "job" not in request:
            parent.send("facts", facts=facts_of_cluster(options))
            continue
        message = _served(TrainingJob.model_validate(request["job"]), options, parent)
        parent.send(**message)
        if message["kind"] != "plan":
            ray.shutdown()
            return {"error": EXIT_FAILED, "drained": EXIT_DRAINED}.get(message["kind"], 0)


def _check_reachable(address: str) -> None:
    """Raises OSError when nobody listens, which Ray would take minutes to find out."""
    host, _, port = address.rpartition(":")
    if host:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_TIMEOUT_S).close()


def _served(job: TrainingJob, options: ClusterOptions, parent: Parent) -> Message:
    try:
        return Submission(job, options, parent).run()
    except Exception as failure:  # noqa: BLE001  the edge of the child: whatever happened, the supervisor is told
        traceback.print_exc()
        if is_disk_full(failure):
            return error(DISK_FULL, DISK_FULL_MESSAGE)
        return failure_message([], failure, processes=job.run.config.num_processes)


def facts_of_cluster(options: ClusterOptions) -> dict[str, Any]:
    """What the cluster offers to trainings now: `cores` counts the processes that fit on its nodes, `memory_gb` is that
    of the smallest node that takes one."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    places = {index: _places(node, options) for index, node in enumerate(nodes)}
    memories = [nodes[index].get("memory", 0.0) for index, count in places.items() if count]
    facts = {
        **facts_of_machine(),
        "device": "gpu" if options.gpus else "cpu",
        "device_name": f"Ray cluster of {len(nodes)} node{'' if len(nodes) == 1 else 's'}",
        "devices": int(sum(node.get("GPU", 0.0) for node in nodes)) if options.gpus else len(memories),
        "cores": sum(places.values()),
        "memory_gb": round(min(memories, default=0.0) / GIGABYTE, 2),
    }
    if options.gpus:
        # Ray knows the memory of a node, not that of its GPUs.
        del facts["memory_gb"]
    return facts


def _places(node: Mapping[str, float], options: ClusterOptions) -> int:
    return int(min(node.get(name, 0.0) // needed for name, needed in options.per_process.items()))


if __name__ == "__main__":
    status = main()
    sys.stderr.flush()
    os._exit(status)
