"""The connection to NATS: one per process, reconnecting for ever.

FastStream carries the handlers but never gets this connection: consumption, acknowledgement and dead letters are what
this platform promises, and they are written here, in `pulling` and in `bus` (ADR 0008).
"""

import asyncio

import structlog
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js import JetStreamContext

log = structlog.get_logger()

RECONNECT_WAIT_S = 0.25
PING_INTERVAL_S = 10
MAX_OUTSTANDING_PINGS = 2
PUBLISH_TIMEOUT_S = 5.0
PROBE_EVERY_S = 2.0
# Unanswered questions after which a connection that looks well is made anew.
DEAF_AFTER = 2


class Broker:
    """A shared connection, made by whoever asks first. As a part of a service it tells whether NATS answers."""

    def __init__(self, url: str, *, name: str) -> None:
        self._url = url
        self._client_name = name
        self._client = Client()
        self._connecting = asyncio.Lock()
        self._problem: str | None = None
        self.name = "nats"

    def problem(self) -> str | None:
        """None while the server answers."""
        return self._problem

    async def run(self) -> None:
        """Ask the server every two seconds whether it is there, until cancelled."""
        unanswered = 0
        while True:
            try:
                async with asyncio.timeout(PROBE_EVERY_S):
                    # Not a flush: one that is given up and answered later ends the client's read loop.
                    await (await self.jetstream()).account_info()
                unanswered, self._problem = 0, None
            except TimeoutError:
                unanswered, self._problem = unanswered + 1, "does not answer"
            except (NatsError, OSError):
                # An answer, though not the wanted one, or no connection, which the client makes anew by itself.
                unanswered, self._problem = 0, "does not answer"
            if unanswered >= DEAF_AFTER and self.is_connected:
                # By itself the client would notice only after half a minute.
                log.warning("nats.connection_deaf", unanswered=unanswered)
                await self._client.force_reconnect()
            await asyncio.sleep(PROBE_EVERY_S)

    async def jetstream(self) -> JetStreamContext:
        """The JetStream context; waits until the server was reached for the first time."""
        async with self._connecting:
            if not self._client.is_connected and not self._client.is_reconnecting:
                self._client = Client()
                await self._client.connect(
                    self._url,
                    name=self._client_name,
                    max_reconnect_attempts=-1,
                    reconnect_time_wait=RECONNECT_WAIT_S,  # type: ignore[arg-type]  # annotated int, slept as it is
                    ping_interval=PING_INTERVAL_S,
                    max_outstanding_pings=MAX_OUTSTANDING_PINGS,
                    error_cb=self._on_error,
                )
        return self._client.jetstream(timeout=PUBLISH_TIMEOUT_S)

    @property
    def connections(self) -> int:
        """Changes with every connection that was made anew: what the server knew before it may have forgotten."""
        return hash((id(self._client), self._client.stats["reconnects"]))

    @property
    def is_connected(self) -> bool:
        """Whether the server answers at this moment, as far as the client knows."""
        return self._client.is_connected

    async def close(self) -> None:
        """Close the connection; what was not acknowledged is delivered again to somebody else."""
        if self._client.is_connected or self._client.is_reconnecting:
            await self._client.close()

    async def _on_error(self, error: Exception) -> None:
        log.warning("nats.error", error=type(error).__name__)
