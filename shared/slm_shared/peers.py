"""Asking another service's REST, with a signed principal and within a second or two."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from slm_shared.errors import UnavailableError, is_disk_full
from slm_shared.identity.principal import HEADER, Principal, Role, Signer
from slm_shared.observability.tracing import current_traceparent
from slm_shared.settings import PlatformSettings

TIMEOUT_S = 2.0
DOWNLOAD_TIMEOUT_S = 60.0
CHUNK_BYTES = 256 * 1024


class Peer:
    """Another service as this process sees it; never called inside a transaction."""

    def __init__(self, settings: PlatformSettings, *, service: str, principal: Principal | None = None) -> None:
        self.service = service
        self._base = settings.service_url(service)
        self._signer = Signer(settings.signing_key) if settings.signing_key else None
        self._principal = principal or Principal(subject="service", role=Role.VIEWER)
        self._session: aiohttp.ClientSession | None = None

    async def get(self, path: str, *, params: dict[str, str] | None = None) -> dict[str, Any] | None:
        """The JSON object under `path`, or None when the service answers 404.

        Raises UnavailableError when it does not answer in time or answers anything else.
        """
        status, body = await self.request("GET", path, params=params)
        if status == 404:
            return None
        if status != 200 or body is None:
            raise UnavailableError(f"The {self.service} service did not give an answer.")
        return body

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: dict[str, str] | None = None,
        json: dict[str, Any] | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> tuple[int, dict[str, Any] | None]:
        """Status and JSON body (None for an empty one) of one request; a status of 5xx raises UnavailableError."""
        async with self._response(method, path, timeout_s=timeout_s, params=params, json=json) as response:
            is_json = response.content_type.endswith("json")
            return response.status, await response.json(content_type=None) if is_json else None

    async def download(self, path: str, target: Path, *, max_bytes: int, timeout_s: float = DOWNLOAD_TIMEOUT_S) -> bool:
        """Save what is under `path` as a file; False when the service answers 404.

        Raises UnavailableError when it does not answer in time, answers anything else, or sends more than `max_bytes`.
        """
        async with self._response("GET", path, timeout_s=timeout_s) as response:
            if response.status == 404:
                return False
            if response.status != 200:
                raise UnavailableError(f"The {self.service} service cannot answer now.")
            size = 0
            with target.open("wb") as file:
                async for chunk in response.content.iter_chunked(CHUNK_BYTES):
                    size += len(chunk)
                    if size > max_bytes:
                        raise UnavailableError(f"The {self.service} service sent more than {max_bytes} bytes.")
                    file.write(chunk)
        return True

    @asynccontextmanager
    async def _response(
        self, method: str, path: str, *, timeout_s: float, **options: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """An open response. Raises UnavailableError, also for a connection that breaks while the block reads it."""
        # Made by the first request: aiohttp wants a running event loop for it.
        self._session = self._session or aiohttp.ClientSession()
        request = {"headers": self._headers(), "timeout": aiohttp.ClientTimeout(total=timeout_s), **options}
        try:
            async with self._session.request(method, self._base + path, **request) as response:
                if response.status >= 500:
                    raise UnavailableError(f"The {self.service} service cannot answer now.")
                yield response
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            if is_disk_full(error):
                # Ours, where a download is saved.
                raise
            raise UnavailableError(f"The {self.service} service does not answer.") from error

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    def _headers(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        if self._signer is not None:
            headers[HEADER] = self._signer.token(self.service, self._principal)
        if traceparent := current_traceparent():
            headers["traceparent"] = traceparent
        return headers
