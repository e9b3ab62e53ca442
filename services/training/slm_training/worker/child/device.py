"""The device: what it does well, the memory it has, and what keeps a run reproducible on it."""

import os
import platform
import socket
from importlib.metadata import version
from typing import Any

import psutil
import torch

GIGABYTE = 1e9
LIBRARIES = ("torch", "transformers", "trl", "peft")


def wants_fp32() -> bool:
    """Whether `SLM_TRAINER_PRECISION=fp32` keeps this worker to single precision."""
    return os.environ.get("SLM_TRAINER_PRECISION") == "fp32"


def bf16_is_fast(device: str) -> bool:
    """Whether the hardware multiplies bf16 itself; emulated it is slower than fp32."""
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "arm_bf16"))


def usable_cores() -> int:
    """Cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def make_deterministic(*, threads: int | None, processes: int = 1) -> None:
    """Fixed kernels and a fixed number of threads: sums are then taken in the same order every time.

    `processes` share the cores.
    """
    torch.set_num_threads(threads or max(1, usable_cores() // processes))
    # Where an operation has no deterministic kernel, a warning is better than a run that cannot start.
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # a property there


def available_gb(device: str) -> float:
    """Memory of the device that is free now."""
    if device == "cuda":
        free, _ = torch.cuda.mem_get_info()
        return float(free) / GIGABYTE
    return float(psutil.virtual_memory().available) / GIGABYTE


def total_gb(device: str) -> float:
    """All memory of the device."""
    if device == "cuda":
        return float(torch.cuda.get_device_properties(0).total_memory) / GIGABYTE
    return float(psutil.virtual_memory().total) / GIGABYTE


def library_versions() -> dict[str, str]:
    """Versions of what computes."""
    return {name: version(name) for name in LIBRARIES}


def facts_of_machine() -> dict[str, Any]:
    """What this machine offers to trainings, as the service matches it with their needs: `WorkerFacts`."""
    gpu = torch.cuda.is_available()
    return {
        "device": "gpu" if gpu else "cpu",
        "device_name": torch.cuda.get_device_name(0) if gpu else platform.machine(),
        "devices": torch.cuda.device_count() if gpu else 1,
        "cores": usable_cores(),
        "memory_gb": round(total_gb("cuda" if gpu else "cpu"), 2),
        "host": socket.gethostname(),
        # That of the worker, which starts a child for each training.
        "pid": os.getppid(),
        "versions": library_versions(),
    }
