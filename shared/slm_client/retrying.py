"""When a request is sent again, and after how long.

Every request of this client may be repeated: reads and deletes by nature, everything else because it carries an
Idempotency-Key under which the platform answers a repetition with the first result.
"""

from collections.abc import Callable
from dataclasses import dataclass

import httpx2

MAX_DELAY_S = 5.0
RETRYABLE_STATUSES = {502, 503, 504}


@dataclass(frozen=True)
class RetryPolicy:
    """At most `attempts` tries; the delay doubles from `first_delay_s` up to `max_delay_s`.

    `on_delay` is called before each delay.
    """

    attempts: int = 4
    first_delay_s: float = 0.2
    max_delay_s: float = 2.0
    on_delay: Callable[[], None] | None = None

    def delay_after_error(self, error: httpx2.TransportError, *, attempt: int) -> float | None:
        """Seconds to wait after the `attempt`-th try (from 1) failed without an answer; None to give up.

        A read timeout is not repeated: a server that did not answer within a minute is not faster the second time.
        """
        if attempt >= self.attempts or isinstance(error, httpx2.ReadTimeout | httpx2.UnsupportedProtocol):
            return None
        return self._announced(self._delay(attempt))

    def delay_after_answer(self, response: httpx2.Response, *, attempt: int) -> float | None:
        """Seconds to wait before the next try; None to take this answer."""
        if attempt >= self.attempts or not _is_temporary(response):
            return None
        told = response.headers.get("Retry-After", "")
        asked_s = float(told) if told.isdecimal() else 0.0
        return self._announced(min(max(asked_s, self._delay(attempt)), MAX_DELAY_S))

    def _announced(self, delay_s: float) -> float:
        if self.on_delay:
            self.on_delay()
        return delay_s

    def _delay(self, attempt: int) -> float:
        return min(self.first_delay_s * 2.0 ** (attempt - 1), self.max_delay_s)


def _is_temporary(response: httpx2.Response) -> bool:
    """Whether a service is unavailable, or (409 with Retry-After) still works on the same request."""
    if response.status_code in RETRYABLE_STATUSES:
        return True
    return response.status_code == 409 and "Retry-After" in response.headers
