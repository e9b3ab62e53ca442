"""`client.runs`."""

from collections.abc import Mapping
from typing import Any

from slm_client import calls
from slm_client.models import Page, Plan, Run
from slm_client.resources.base import Resource, poll

PLAN_TIMEOUT_S = 600.0
LAUNCH_WAIT_S = 20


class Runs(Resource):
    """`client.runs`."""

    def launch(self, settings: Mapping[str, Any], *, idempotency_key: str | None = None) -> Run:
        """Queue a training; `settings` is the body of `POST /api/runs`, values of None are left to the platform.

        Launching again under the same `idempotency_key` answers with the first run.
        """
        return self._client.send(calls.launch_run(settings, idempotency_key=idempotency_key))

    def draft(self, settings: Mapping[str, Any]) -> Run:
        """Keep a training to be edited and started later."""
        return self._client.send(calls.launch_run({**settings, "draft": True}, idempotency_key=None))

    def list(
        self,
        *,
        status: str | None = None,
        tag: str | None = None,
        owner: str | None = None,
        q: str | None = None,
        sort: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[Run]:
        """A page of runs, newest first unless sorted otherwise, e.g. by `-completed_at`."""
        call = calls.list_runs(status=status, tag=tag, owner=owner, q=q, sort=sort, limit=limit, cursor=cursor)
        return self._client.send(call)

    def get(self, run_id: object) -> Run:
        """One run; while it is queued with its place and what it waits for."""
        return self._client.send(calls.get_run(run_id))

    def edit(self, run: Run, changes: Mapping[str, Any]) -> Run:
        """Change options of a draft as it was read; None goes back to the default."""
        return self._client.send(calls.edit_run(run.id, changes, version=run.version))

    def remove(self, run_id: object) -> None:
        """Remove a draft."""
        self._client.send(calls.remove_run(run_id))

    def start(self, run_id: object) -> Run:
        """Queue a draft."""
        return self._client.send(calls.steer_run(run_id, "start"))

    def cancel(self, run_id: object) -> Run:
        """Stop a run; what it had trained is not kept."""
        return self._client.send(calls.steer_run(run_id, "cancel"))

    def pause(self, run_id: object) -> Run:
        """Have a run stop at a checkpoint."""
        return self._client.send(calls.steer_run(run_id, "pause"))

    def resume(self, run_id: object) -> Run:
        """Queue a paused run again."""
        return self._client.send(calls.steer_run(run_id, "resume"))

    def clone(self, run_id: object, changes: Mapping[str, Any] | None = None) -> Run:
        """Launch a run like another one, with changes; `{"draft": True}` keeps it to be edited."""
        return self._client.send(calls.clone_run(run_id, changes or {}))

    def reproduce(self, run_id: object) -> Run:
        """Run the very same again; `client.experiments.drift` tells what came out differently."""
        return self._client.send(calls.steer_run(run_id, "reproduce"))

    def set_priority(self, run_id: object, priority: int) -> Run:
        """Move a run in the queue: -100 to 100, higher ones are claimed first."""
        return self._client.send(calls.set_priority(run_id, priority))

    def schema(self) -> dict[str, Any]:
        """The JSON Schema of a configuration file."""
        return self._client.send(calls.config_schema()).content()

    def preflight(self, settings: Mapping[str, Any], *, timeout_s: float = PLAN_TIMEOUT_S) -> Plan:
        """Plan a training without starting it: tokens, memory, duration, warnings."""
        plan = self._client.send(calls.preflight(settings, wait_s=LAUNCH_WAIT_S))
        if plan.status != "planning":
            return plan
        return poll(
            lambda: self.plan(plan.id),
            lambda seen: seen.status != "planning",
            what=f"The end of plan {plan.id}",
            timeout_s=timeout_s,
        )

    def plan(self, plan_id: object) -> Plan:
        """A plan made earlier."""
        return self._client.send(calls.get_plan(plan_id))

    def launch_plan(self, plan_id: object, *, idempotency_key: str | None = None) -> Run:
        """Launch exactly what was planned: the same content hashes; again under one key it is the same run."""
        return self._client.send(calls.launch_plan(plan_id, idempotency_key=idempotency_key))
