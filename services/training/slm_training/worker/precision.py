"""What the device does well, and what keeps a run reproducible on it."""

import os
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Precision:
    """What the device computes with. Parameters and optimiser states are fp32 in either case."""

    device: str
    bf16: bool

    @property
    def label(self) -> str:
        """For the record, e.g. `cpu, bf16 autocast`."""
        return f"{self.device}, {'bf16 autocast' if self.bf16 else 'fp32'}"


def choose_precision() -> Precision:
    """A GPU when there is one, and bf16 where the hardware multiplies it; emulated bf16 is slower than fp32.

    `SLM_TRAINER_PRECISION=fp32` keeps to single precision.
    """
    if os.environ.get("SLM_TRAINER_PRECISION") == "fp32":
        return Precision("cuda" if torch.cuda.is_available() else "cpu", bf16=False)
    if torch.cuda.is_available():
        return Precision("cuda", bf16=torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    native = ("avx512_bf16", "amx_bf16", "arm_bf16")
    return Precision("cpu", bf16=any(capabilities.get(name, False) for name in native))


def usable_cores() -> int:
    """Cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def make_deterministic(*, threads: int | None) -> None:
    """Fixed kernels and a fixed number of threads: sums are then taken in the same order every time."""
    torch.set_num_threads(threads or usable_cores())
    # Where an operation has no deterministic kernel, a warning is better than a run that cannot start.
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # a property there
