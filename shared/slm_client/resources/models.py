"""`client.models`."""

from collections.abc import Sequence
from pathlib import Path

from slm_client import calls
from slm_client.calls import UNSET, JsonObject, ProgressCallback, Unset, changes_of
from slm_client.models import Aliases, Lineage, Model, ModelComparison, Page, Usage
from slm_client.resources.base import Resource, poll


class Models(Resource):
    """`client.models`; a reference is an id, a `<family>-v<n>`, a `<family>@<alias>` or a family."""

    def list(
        self,
        *,
        kind: str | None = None,
        family: str | None = None,
        experiment_id: str | None = None,
        base_model: str | None = None,
        dataset: str | None = None,
        tag: str | None = None,
        alias: str | None = None,
        latest: bool | None = None,
        deleted: bool | None = None,
        q: str | None = None,
        sort: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[Model]:
        """A page of models, newest first, or by `sort`: a column's name, with a minus in front to descend."""
        call = calls.list_models(
            kind=kind,
            family=family,
            experiment_id=experiment_id,
            base_model=base_model,
            dataset=dataset,
            tag=tag,
            alias=alias,
            latest=latest,
            deleted=deleted,
            q=q,
            sort=sort,
            limit=limit,
            cursor=cursor,
        )
        return self._client.send(call)

    def get(self, reference: object) -> Model:
        """One model."""
        return self._client.send(calls.get_model(reference))

    def edit(
        self,
        reference: object,
        *,
        revision: int | None = None,
        description: str | Unset | None = UNSET,
        tags: Sequence[str] | Unset = UNSET,
    ) -> Model:
        """Change what is given. With `revision`, only if nobody has changed the model since."""
        changes = changes_of(description=description, tags=tags)
        return self._client.send(calls.edit_model(reference, changes, revision=revision))

    def delete(self, reference: object) -> None:
        """Delete a model that nothing refers to; its lineage stays."""
        self._client.send(calls.delete_model(reference))

    def compare(self, *references: object) -> ModelComparison:
        """Two to ten models side by side."""
        return self._client.send(calls.compare_models(references))

    def usage(self, reference: object) -> Usage:
        """What it was used for, how often and when last."""
        return self._client.send(calls.model_usage(reference))

    def aliases(self, reference: object) -> Aliases:
        """Where the aliases of its family lead, and how they moved."""
        return self._client.send(calls.model_aliases(reference))

    def point_alias(self, reference: object, alias: str) -> Aliases:
        """Let a free alias of its family lead to it."""
        return self._client.send(calls.point_alias(reference, alias))

    def remove_alias(self, reference: object, alias: str) -> None:
        """Take a free alias away from it."""
        self._client.send(calls.remove_alias(reference, alias))

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
