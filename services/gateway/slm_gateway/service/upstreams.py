"""The services behind the gateway: their addresses, the connections to them, and the principal each is shown."""

from collections.abc import Mapping
from typing import Any

import aiohttp
from yarl import URL

from slm_gateway.domain.routing import SERVICES
from slm_gateway.errors import ServiceUnavailableError
from slm_gateway.settings import GatewaySettings
from slm_shared.identity.principal import HEADER, Principal, Signer

ASK_TIMEOUT_S = 2.0
IDLE_CONNECTION_S = 15.0
"""Shorter than the services keep an idle connection, so that a request is not sent into one being closed."""


class Upstreams:
    """One connection pool to all services."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings
        self._bases = {service: settings.platform.service_url(service) for service in SERVICES}
        self._signer = Signer(settings.platform.signing_key) if settings.platform.signing_key else None
        self._session: aiohttp.ClientSession | None = None
        self._read_timeout = self._timeout(settings.answer_timeout_s)
        self._write_timeout = self._timeout(settings.upload_answer_timeout_s)

    def token(self, audience: str, principal: Principal) -> str:
        """What makes `audience` believe that `principal` asks. Raises ServiceUnavailableError without a key."""
        if self._signer is None:
            raise ServiceUnavailableError("The gateway has no key to sign with.", hint="set SLM_SIGNING_KEY")
        return self._signer.token(audience, principal)

    async def open(
        self, service: str, method: str, target: str, *, headers: list[tuple[str, str]], body: Any = None
    ) -> aiohttp.ClientResponse:
        """Send a request on; `target` (path and query) goes as it is. The caller releases or closes the response."""
        return await self._connections().request(
            method,
            URL(self._bases[service] + target, encoded=True),
            headers=headers,
            data=body,
            allow_redirects=False,
            timeout=self._read_timeout if body is None else self._write_timeout,
        )

    async def ask(
        self, service: str, path: str, *, principal: Principal | None = None, params: dict[str, str] | None = None
    ) -> Mapping[str, Any]:
        """A JSON object of a service. Raises ServiceUnavailableError for anything else, within 2 s."""
        headers = {HEADER: self.token(service, principal)} if principal else {}
        url, timeout = self._bases[service] + path, aiohttp.ClientTimeout(total=ASK_TIMEOUT_S)
        try:
            async with self._connections().get(url, params=params, headers=headers, timeout=timeout) as response:
                body = await response.json() if response.status == 200 else None
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise ServiceUnavailableError(f"The {service} service does not answer.") from error
        if not isinstance(body, dict):
            raise ServiceUnavailableError(f"The {service} service did not give an answer.")
        return body

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    def _connections(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                limit=self._settings.max_upstream_connections, keepalive_timeout=IDLE_CONNECTION_S
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                # Bodies pass as they are; a cookie of one caller must never go out with another's request; and services
                # see the caller's headers, not those that aiohttp would make up.
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
            )
        return self._session

    def _timeout(self, answer_timeout_s: float) -> aiohttp.ClientTimeout:
        connect_s = self._settings.connect_timeout_s
        # No limit on the whole: a download or a live feed may take hours, as long as it goes on.
        return aiohttp.ClientTimeout(total=None, connect=connect_s, sock_connect=connect_s, sock_read=answer_timeout_s)
