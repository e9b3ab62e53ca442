"""How a long transfer is told: share, rate and time left."""

import time
from collections.abc import Callable

from slm_ui import formatting

REDRAW_S = 0.1
Draw = Callable[[float, str], object]


class Transfer:
    """Bytes on their way; `draw` gets the share from 0 to 1 and a line of text, ten times a second at most."""

    def __init__(self, total_bytes: int, draw: Draw) -> None:
        self._total = max(1, total_bytes)
        self._draw = draw
        self._done = 0
        self._began = self._drawn = time.monotonic()

    def add(self, count: int) -> None:
        """So many bytes more (fewer, when it starts over)."""
        self._done += count
        now = time.monotonic()
        if now - self._drawn >= REDRAW_S or self._done >= self._total:
            self._drawn = now
            self._draw(min(1.0, self._done / self._total), self.told(now - self._began))

    def told(self, elapsed_s: float) -> str:
        """The line of text after so many seconds."""
        amount = f"{formatting.size(self._done)} of {formatting.size(self._total)}"
        if self._done >= self._total:
            return f"{amount} sent; the platform is storing it"
        if elapsed_s <= 0 or self._done <= 0:
            return amount
        rate = self._done / elapsed_s
        left = (self._total - self._done) / rate
        return f"{amount} · {formatting.size(rate)}/s · {formatting.duration(left)} left"
