"""The merged API description: the services' own documents, asked for now and then, kept while a service is away."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import structlog

from slm_gateway.domain.openapi import Document, merge
from slm_gateway.domain.routing import SERVICES, owner_of
from slm_gateway.errors import ServiceUnavailableError
from slm_gateway.service.upstreams import Upstreams

log = structlog.get_logger()
REFRESH_AFTER_S = 60.0
REFRESH_INCOMPLETE_AFTER_S = 2.0
DESCRIPTION_PATH = "/openapi.json"


class ApiDescription:
    """The public API of the whole platform as one OpenAPI document."""

    def __init__(self, upstreams: Upstreams) -> None:
        self._upstreams = upstreams
        self._documents: dict[str, Document] = {}
        self._fresh_until = 0.0
        self._refreshing = asyncio.Lock()

    async def merged(self, own: Document) -> Document:
        """The merged document; `own` is the gateway's part. Services never reached are named in `x-unavailable`."""
        # Of many readers that find it out of date one asks the services, and the others wait for its answer.
        async with self._refreshing:
            if time.monotonic() >= self._fresh_until:
                await self._refresh()
        document = merge({**self._documents, "gateway": own}, info=own["info"], is_public=_is_public)
        if missing := sorted(set(SERVICES) - set(self._documents)):
            document["x-unavailable"] = missing
        return document

    async def _refresh(self) -> None:
        answers = await asyncio.gather(*(self._fetch(service) for service in SERVICES))
        self._documents |= {service: dict(answer) for service, answer in zip(SERVICES, answers, strict=True) if answer}
        keep_s = REFRESH_AFTER_S if all(answers) else REFRESH_INCOMPLETE_AFTER_S
        self._fresh_until = time.monotonic() + keep_s

    async def _fetch(self, service: str) -> Mapping[str, Any] | None:
        try:
            return await self._upstreams.ask(service, DESCRIPTION_PATH)
        except ServiceUnavailableError:
            log.warning("documents.service_unavailable", service=service)
            return None


def _is_public(service: str, path: str) -> bool:
    return service == "gateway" or owner_of(path) == service
