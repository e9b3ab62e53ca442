"""`client.models`."""

from pathlib import Path

from slm_client import calls
from slm_client.calls import JsonObject, ProgressCallback
from slm_client.models import Lineage, Model, Page
from slm_client.resources.base import Resource, poll


class Models(Resource):
    """`client.models`; a reference is an id, a `<family>-v<n>` or a family (its latest version)."""

    def list(
        self,
        *,
        kind: str | None = None,
        family: str | None = None,
        experiment_id: str | None = None,
        q: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[Model]:
        """A page of models, newest first."""
        call = calls.list_models(kind=kind, family=family, experiment_id=experiment_id, q=q, limit=limit, cursor=cursor)
        return self._client.send(call)

    def get(self, reference: object) -> Model:
        """One model."""
        return self._client.send(calls.get_model(reference))

    def card(self, reference: object) -> JsonObject:
        """Its card: what it is, was made from and scores."""
        return self._client.send(calls.model_card(reference))

    def card_markdown(self, reference: object) -> str:
        """Its card as markdown."""
        return self._client.send(calls.model_card_markdown(reference))

    def lineage(self, reference: object) -> Lineage:
        """Dataset, run, experiment, model and evaluations, and how they hang together."""
        return self._client.send(calls.model_lineage(reference))

    def download(self, reference: object, target: Path, *, on_progress: ProgressCallback | None = None) -> int:
        """Save its files as one tar archive; returns the bytes written."""
        return self._client.save(calls.download_model(reference), target, on_progress=on_progress)

    def wait_for_experiment(self, experiment_id: str, *, timeout_s: float = 120.0) -> Model:
        """The model that came of an experiment, once the registry has it."""
        page = poll(
            lambda: self.list(experiment_id=experiment_id),
            lambda page: bool(page.items),
            what=f"Registration of the model of experiment {experiment_id}",
            timeout_s=timeout_s,
        )
        return page.items[0]
