"""`client.runs`."""

from collections.abc import Mapping
from typing import Any

from slm_client import calls
from slm_client.models import Page, Run
from slm_client.resources.base import Resource


class Runs(Resource):
    """`client.runs`."""

    def launch(self, settings: Mapping[str, Any]) -> Run:
        """Queue a training; `settings` is the body of `POST /api/runs`, values of None are left to the platform."""
        return self._client.send(calls.launch_run(settings))

    def list(
        self,
        *,
        status: str | None = None,
        q: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[Run]:
        """A page of runs, newest first."""
        return self._client.send(calls.list_runs(status=status, q=q, limit=limit, cursor=cursor))

    def get(self, run_id: object) -> Run:
        """One run."""
        return self._client.send(calls.get_run(run_id))

    def cancel(self, run_id: object) -> Run:
        """Stop a run; what it had trained is not kept."""
        return self._client.send(calls.cancel_run(run_id))
