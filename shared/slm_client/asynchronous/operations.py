"""`client.operations`."""

from slm_client import calls
from slm_client.asynchronous.resource import AsyncResource
from slm_client.models import AuditEntry, DeadLetter, ServiceHealth


class AsyncOperations(AsyncResource):
    """`client.operations`: what an operator asks of a service (`datasets`, `evaluation`, `registry`, `training`)."""

    async def health(self, service: str) -> ServiceHealth:
        """Whether unpublished events or dead letters wait in a service."""
        return await self._client.send(calls.operations.health(service))

    async def dead_letters(self, service: str, *, limit: int = 50) -> list[DeadLetter]:
        """Messages that a service could not handle, newest first."""
        return await self._client.send(calls.operations.dead_letters(service, limit=limit))

    async def redrive(self, service: str, letter: DeadLetter) -> None:
        """Deliver a dead letter again; it is kept if handling it fails again."""
        await self._client.send(calls.operations.redrive(service, letter.consumer, letter.event_id))

    async def discard(self, service: str, letter: DeadLetter) -> None:
        """Delete a dead letter without handling it."""
        await self._client.send(calls.operations.discard(service, letter.consumer, letter.event_id))

    async def audit(self, service: str, *, before: int | None = None, limit: int = 50) -> list[AuditEntry]:
        """The audit log of a service, newest first; `before` continues after the entry with this `seq`."""
        return await self._client.send(calls.operations.audit(service, before=before, limit=limit))
