"""`client.runs`."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Unpack

from slm_client import calls
from slm_client.asynchronous.resource import AsyncResource
from slm_client.asynchronous.waiting import wait_until
from slm_client.calls.runs import RunFilters
from slm_client.models import Page, Plan, Run

PLAN_TIMEOUT_S = 600.0
LAUNCH_WAIT_S = 20


class AsyncRuns(AsyncResource):
    """`client.runs`."""

    async def launch(self, settings: Mapping[str, Any], *, idempotency_key: str | None = None) -> Run:
        """Launch a run; `settings` is the body of `POST /api/runs`, without the values that are None.

        Launching again under the same `idempotency_key` answers with the first run.
        """
        return await self._client.send(calls.runs.launch(settings, idempotency_key=idempotency_key))

    async def draft(self, settings: Mapping[str, Any]) -> Run:
        """Save a run as a draft, to edit and start later."""
        return await self._client.send(calls.runs.launch({**settings, "draft": True}, idempotency_key=None))

    async def list(self, **filters: Unpack[RunFilters]) -> Page[Run]:
        """A page of runs, newest first or by `sort`, e.g. `-completed_at` (descending)."""
        return await self._client.send(calls.runs.page(**filters))

    def list_all(self, **filters: Unpack[RunFilters]) -> AsyncIterator[Run]:
        """Every run that `list` has, page by page."""
        return self._client.items(calls.runs.page(**filters))

    async def get(self, run_id: object) -> Run:
        """One run; a queued run has its position in the queue and what it waits for."""
        return await self._client.send(calls.runs.get(run_id))

    async def edit(self, run: Run, changes: Mapping[str, Any]) -> Run:
        """Change options of a draft (None restores a default), if nobody has edited it since it was read."""
        return await self._client.send(calls.runs.edit(run.id, changes, version=run.version))

    async def remove(self, run_id: object) -> None:
        """Delete a draft."""
        await self._client.send(calls.runs.remove(run_id))

    async def start(self, run_id: object) -> Run:
        """Start a draft."""
        return await self._client.send(calls.runs.control(run_id, "start"))

    async def cancel(self, run_id: object) -> Run:
        """Cancel a run; the weights that it has trained are not kept."""
        return await self._client.send(calls.runs.control(run_id, "cancel"))

    async def pause(self, run_id: object) -> Run:
        """Pause a run at a checkpoint."""
        return await self._client.send(calls.runs.control(run_id, "pause"))

    async def resume(self, run_id: object) -> Run:
        """Resume a paused run from its newest checkpoint."""
        return await self._client.send(calls.runs.control(run_id, "resume"))

    async def clone(self, run_id: object, changes: Mapping[str, Any] | None = None) -> Run:
        """Launch a copy of a run with changed settings; `{"draft": True}` saves it as a draft."""
        return await self._client.send(calls.runs.clone(run_id, changes or {}))

    async def reproduce(self, run_id: object) -> Run:
        """Run exactly the same again; `client.experiments.drift` shows what differs."""
        return await self._client.send(calls.runs.control(run_id, "reproduce"))

    async def set_priority(self, run_id: object, priority: int) -> Run:
        """Set the priority of a queued run, from -100 to 100; a higher one starts first."""
        return await self._client.send(calls.runs.set_priority(run_id, priority))

    async def schema(self) -> dict[str, Any]:
        """The JSON Schema of a configuration file."""
        answer = await self._client.send(calls.runs.schema())
        return answer.content()

    async def preflight(self, settings: Mapping[str, Any], *, timeout_s: float = PLAN_TIMEOUT_S) -> Plan:
        """Plan a run without launching it, and wait for the plan: tokens, memory, duration, warnings."""
        plan = await self._client.send(calls.runs.preflight(settings, wait_s=LAUNCH_WAIT_S))
        if plan.status != "planning":
            return plan
        return await wait_until(
            lambda: self.plan(plan.id),
            lambda seen: seen.status != "planning",
            what=f"The end of plan {plan.id}",
            timeout_s=timeout_s,
        )

    async def plan(self, plan_id: object) -> Plan:
        """One plan."""
        return await self._client.send(calls.runs.plan(plan_id))

    async def launch_plan(self, plan_id: object, *, idempotency_key: str | None = None) -> Run:
        """Launch the run that a plan describes, on the same data; a repeated `idempotency_key` gives the same run."""
        return await self._client.send(calls.runs.launch_plan(plan_id, idempotency_key=idempotency_key))
