"""Which code is running: the version of the package, and the commit it was built or checked out from."""

import os
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path

PACKAGE = "slm-platform"
BAKED_IN = "SLM_CODE_VERSION"
"""Environment variable that a container's build sets to its commit."""
NOTE = Path(__file__).with_name("commit.txt")
"""The commit of a wheel; `deploy/hatch_build.py` puts it there."""


@cache
def code_version() -> str:
    """E.g. `0.1.0+g1a2b3c…`, with `.dirty` behind it when files differ from the commit, or `0.1.0` where none is known.

    The form is that of local versions: https://packaging.python.org/en/latest/specifications/version-specifiers/
    """
    commit = os.environ.get(BAKED_IN) or _noted() or commit_of(Path(__file__).resolve().parents[3])
    return f"{version(PACKAGE)}+g{commit}" if commit else version(PACKAGE)


def commit_of(checkout: Path) -> str | None:
    """The commit of a checkout; None for a folder that is none, and where git is not there or refuses."""
    if not (checkout / ".git").exists():
        return None
    commit = _git(checkout, "rev-parse", "HEAD")
    if not commit:
        return None
    return commit + (".dirty" if _git(checkout, "status", "--porcelain", "--untracked-files=no") else "")


def _noted() -> str | None:
    return NOTE.read_text().strip() if NOTE.exists() else None


def _git(checkout: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(checkout), *arguments], capture_output=True, text=True, check=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
