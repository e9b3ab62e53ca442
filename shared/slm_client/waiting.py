"""Polling until something is finished: how often to ask and when to give up."""

import time
from collections.abc import Iterator

from slm_client.errors import WaitTimeoutError

POLL_S = 0.4


def pauses(what: str, *, timeout_s: float, poll_s: float = POLL_S) -> Iterator[float]:
    """Yield the seconds to pause before each next look; raises WaitTimeoutError once `timeout_s` has passed."""
    deadline = time.monotonic() + timeout_s
    while (left := deadline - time.monotonic()) > 0:
        yield min(poll_s, left)
    raise WaitTimeoutError(what, timeout_s=timeout_s)
