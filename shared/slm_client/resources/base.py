"""What the resources need of their client, and waiting."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

from slm_client.calls import Call, ProgressCallback
from slm_client.waiting import POLL_S, pauses

T = TypeVar("T")


class Sender(Protocol):
    """What a resource needs of its client."""

    def send(self, call: Call[T]) -> T:
        """Send one request and read its answer."""

    def save(self, call: Call[Any], target: Path, *, on_progress: ProgressCallback | None = None) -> int:
        """Stream an answer into a file."""

    def put(self, url: str, data: bytes) -> None:
        """Send bytes to an address outside of the platform."""


def poll(
    look: Callable[[], T],
    until: Callable[[T], bool],
    *,
    what: str,
    timeout_s: float,
    poll_s: float = POLL_S,
    on_change: Callable[[T], None] | None = None,
) -> T:
    """Look until what is seen satisfies `until`. Raises the timeout error of `pauses`, which names `what`."""
    for pause_s in pauses(what, timeout_s=timeout_s, poll_s=poll_s):
        seen = look()
        if on_change:
            on_change(seen)
        if until(seen):
            return seen
        time.sleep(pause_s)
    raise AssertionError("unreachable")


class Resource:
    """Methods about one kind of thing, sent by a client."""

    def __init__(self, client: Sender) -> None:
        self._client = client
