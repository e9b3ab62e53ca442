"""`stack.json`: the parts of a running stack, for people, tests and `slm_local status`."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from slm_local.files import write_private


@dataclass(frozen=True, slots=True)
class PartRecord:
    """One part of the stack; `pid` and `log` are None for a server that is not ours."""

    name: str
    url: str | None
    pid: int | None
    log: str | None
    ready_after_s: float | None


@dataclass(frozen=True, slots=True)
class StackRecord:
    """The stack as `stack.json` has it."""

    launcher_pid: int
    ready: bool
    gateway_url: str
    parts: list[PartRecord]


def write_record(data_dir: Path, record: StackRecord) -> None:
    """Replace the file, whole or not at all."""
    write_private(_path(data_dir), json.dumps(asdict(record), indent=2) + "\n")


def read_record(data_dir: Path) -> StackRecord | None:
    """What the file says; None without one."""
    try:
        fields = json.loads(_path(data_dir).read_text())
    except FileNotFoundError:
        return None
    return StackRecord(**{**fields, "parts": [PartRecord(**part) for part in fields["parts"]]})


def remove_record(data_dir: Path) -> None:
    """Remove the file: the stack has stopped."""
    _path(data_dir).unlink(missing_ok=True)


def _path(data_dir: Path) -> Path:
    return data_dir / "stack.json"
