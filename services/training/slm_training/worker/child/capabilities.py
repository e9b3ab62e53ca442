"""What this machine offers to trainings, as the service matches it with their needs."""

import os
import platform
import socket
from typing import Any

import torch

from slm_training.worker.child.artifact import library_versions
from slm_training.worker.child.device import total_gb, usable_cores


def facts_of_machine() -> dict[str, Any]:
    """Device, cores, memory in GB of the device, and versions."""
    gpu = torch.cuda.is_available()
    return {
        "device": "gpu" if gpu else "cpu",
        "device_name": torch.cuda.get_device_name(0) if gpu else platform.machine(),
        "devices": torch.cuda.device_count() if gpu else 1,
        "cores": usable_cores(),
        "memory_gb": round(total_gb("cuda" if gpu else "cpu"), 2),
        "host": socket.gethostname(),
        "pid": os.getppid(),
        "versions": library_versions(),
    }
