"""Waiting without an event loop, for what happens in other processes."""

import threading
import time
from collections.abc import Callable

POLL_S = 0.05


def wait_until(check: Callable[[], bool], *, timeout_s: float) -> None:
    """Return once `check` is true. Raises TimeoutError."""
    deadline = time.monotonic() + timeout_s
    while not check():
        if time.monotonic() > deadline:
            raise TimeoutError
        let_pass(POLL_S)


def let_pass(seconds: float) -> None:
    """Let time pass, where a fault lasts that long."""
    threading.Event().wait(seconds)
