"""Private files of the data folder, written whole or not at all."""

import os
import secrets
from pathlib import Path

PRIVATE = 0o600


def write_private(path: Path, text: str) -> None:
    """Write a file that only this user can read; a crash leaves the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE), "w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    unfinished.replace(path)


def read_or_make_secret(path: Path) -> str:
    """The secret kept in `path`, made at random the first time."""
    if not path.exists():
        write_private(path, secrets.token_urlsafe(24))
    return path.read_text()
