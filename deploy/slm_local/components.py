"""The platform's own processes: their modules, their environment, and how to tell that they are ready."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from slm_local.addresses import SERVICE_PORTS, Addresses
from slm_local.ports import LOOPBACK
from slm_local.probes import http_ok
from slm_local.process import Gate, Probe

# One malloc arena per core would cost each process tens of MB. Unbuffered output reaches the log at once.
LEAN = {"MALLOC_ARENA_MAX": "2", "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": ""}
WORKERS = {"trainer": "slm_training.worker", "evaluator": "slm_evaluation.worker"}
# Less than STOP_GRACE_S of the stack, so that a worker can give back its lease.
WORKER_STOP_GRACE_S = "2"


@dataclass(frozen=True, slots=True)
class Component:
    """A Python process of the platform."""

    name: str
    module: str
    env: Mapping[str, str] = field(repr=False)
    ready: Probe
    url: str | None = None


def python(module: str, *arguments: str, gate: Gate | None = None) -> tuple[str, ...]:
    """The command that runs a module of the platform, at once or when the gate opens."""
    waiting = () if gate is None else ("slm_local.gate", str(gate.fd), str(gate.lock))
    return (sys.executable, "-m", *waiting, module, *arguments)


def services(data_dir: Path, addresses: Addresses) -> list[Component]:
    """The services and the gateway; ready when `/readyz` answers 200."""
    return [_service(name, data_dir, addresses) for name in (*SERVICE_PORTS, "gateway")]


def _service(name: str, data_dir: Path, addresses: Addresses) -> Component:
    url = addresses.url(name)
    signer = "gateway" if name == "gateway" else "service"
    env = {
        **base_environment(data_dir, addresses, signer=signer),
        f"SLM_{name.upper()}_WORK_DIR": str(data_dir / name),
    }
    return Component(name, f"slm_{name}.__main__", env, lambda: http_ok(f"{url}/readyz"), url)


def console(addresses: Addresses) -> list[Component]:
    """The web console, if it has a port. It gets the address of the gateway and no secret."""
    if "ui" not in addresses.ports:
        return []
    env = {
        **LEAN,
        "SLM_GATEWAY_URL": addresses.url("gateway"),
        "SLM_UI_HOST": LOOPBACK,
        "SLM_UI_PORT": str(addresses.ports["ui"]),
    }
    url = addresses.url("ui")
    return [Component("ui", "slm_ui.__main__", env, lambda: http_ok(f"{url}/readyz"), url)]


def workers(data_dir: Path, addresses: Addresses) -> list[Component]:
    """The trainer and the evaluator; ready when their ready file exists. Removes the files of an earlier start."""
    return [_worker(name, module, data_dir, addresses) for name, module in WORKERS.items()]


def _worker(name: str, module: str, data_dir: Path, addresses: Addresses) -> Component:
    ready_file = data_dir / "run" / f"{name}.ready"
    ready_file.parent.mkdir(parents=True, exist_ok=True)
    ready_file.unlink(missing_ok=True)
    env = {
        **base_environment(data_dir, addresses, signer="worker"),
        "SLM_READY_FILE": str(ready_file),
        f"SLM_{name.upper()}_NAME": f"{name}-1",
        f"SLM_{name.upper()}_WORK_DIR": str(data_dir / name),
        f"SLM_{name.upper()}_STOP_GRACE_S": WORKER_STOP_GRACE_S,
    }

    async def is_ready() -> bool:
        return ready_file.exists()

    return Component(name, module, env, is_ready)


def base_environment(data_dir: Path, addresses: Addresses, *, signer: str) -> dict[str, str]:
    """The environment of every process; `signer` names the one private key that it may use."""
    keys = keys_folder(data_dir)
    return {
        **LEAN,
        **addresses.variables,
        "SLM_PRINCIPAL_KEYS": str(keys / "principals.json"),
        "SLM_SIGNING_KEY": str(keys / f"{signer}.json"),
    }


def keys_folder(data_dir: Path) -> Path:
    """The folder with the keys of this stack."""
    return data_dir / "keys"
