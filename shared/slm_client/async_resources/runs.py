"""`client.runs`."""

from collections.abc import Mapping
from typing import Any

from slm_client import calls
from slm_client.async_resources.base import AsyncResource
from slm_client.models import Page, Run


class AsyncRuns(AsyncResource):
    """`client.runs`."""

    async def launch(self, settings: Mapping[str, Any]) -> Run:
        """Queue a training; `settings` is the body of `POST /api/runs`, values of None are left to the platform."""
        return await self._client.send(calls.launch_run(settings))

    async def list(
        self,
        *,
        status: str | None = None,
        q: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[Run]:
        """A page of runs, newest first."""
        return await self._client.send(calls.list_runs(status=status, q=q, limit=limit, cursor=cursor))

    async def get(self, run_id: object) -> Run:
        """One run."""
        return await self._client.send(calls.get_run(run_id))

    async def cancel(self, run_id: object) -> Run:
        """Stop a run; what it had trained is not kept."""
        return await self._client.send(calls.cancel_run(run_id))
