"""`client.models`."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Unpack

from slm_client import calls
from slm_client.asynchronous.resource import AsyncResource
from slm_client.asynchronous.waiting import wait_for_first
from slm_client.base_models import base_model_files
from slm_client.calls.base import UNSET, JsonObject, ProgressCallback, Unset, changes_of
from slm_client.calls.models import ModelFilters
from slm_client.concurrency import async_entered
from slm_client.models import (
    Aliases,
    ContainingModels,
    Lineage,
    Model,
    ModelComparison,
    Page,
    PromotionCheck,
    Reproduction,
    Timeline,
    Usage,
    Verification,
)
from slm_client.packing import packed


class AsyncModels(AsyncResource):
    """`client.models`; a reference is an id, a `<family>-v<n>`, a `<family>@<alias>` or a family."""

    async def list(self, **filters: Unpack[ModelFilters]) -> Page[Model]:
        """A page of models, newest first or by `sort`: a column, with a minus to sort descending."""
        return await self._client.send(calls.models.page(**filters))

    def list_all(self, **filters: Unpack[ModelFilters]) -> AsyncIterator[Model]:
        """Every model that `list` has, page by page."""
        return self._client.items(calls.models.page(**filters))

    async def get(self, reference: object) -> Model:
        """One model."""
        return await self._client.send(calls.models.get(reference))

    async def register(
        self,
        path: Path,
        family: str,
        *,
        base_model: str | None = None,
        description: str | None = None,
        tags: Sequence[str] = (),
        source: str | None = None,
        on_progress: ProgressCallback | None = None,
    ) -> Model:
        """Register an external model as the next version of a family, from its folder or a tar file of the folder.

        `source` says where it came from.
        """
        async with async_entered(packed(path)) as archive:
            call = calls.models.upload(
                archive,
                family=family,
                base_model=base_model,
                description=description,
                tags=tags,
                source=source,
                on_progress=on_progress,
            )
            return await self._client.send(call)

    async def bring(
        self, reference: str, family: str | None = None, *, on_progress: ProgressCallback | None = None
    ) -> Model:
        """Register a base model from a folder or tar file, or from the hub as `owner/name` or `owner/name@revision`.

        The revision is pinned to the commit that it stands for now. The same files are registered once per family.
        Raises BaseModelError when there is no such model.
        """
        async with async_entered(base_model_files(reference)) as found:
            family = family or found.family
            async for model in self.list_all(family=family):
                if model.config.get("source") == found.source:
                    return model
            return await self.register(found.path, family, source=found.source, on_progress=on_progress)

    async def edit(
        self,
        reference: object,
        *,
        revision: int | None = None,
        description: str | Unset | None = UNSET,
        tags: Sequence[str] | Unset = UNSET,
    ) -> Model:
        """Change description or tags. With `revision`, only if nobody has changed the model since that revision."""
        changes = changes_of(description=description, tags=tags)
        return await self._client.send(calls.models.edit(reference, changes, revision=revision))

    async def delete(self, reference: object) -> None:
        """Delete a model that nothing refers to; its lineage stays."""
        await self._client.send(calls.models.delete(reference))

    async def compare(self, *references: object) -> ModelComparison:
        """Compare two to ten models."""
        return await self._client.send(calls.models.compare(references))

    async def usage(self, reference: object) -> Usage:
        """What the model was used for, how often, and when last."""
        return await self._client.send(calls.models.usage(reference))

    async def aliases(self, reference: object) -> Aliases:
        """The aliases of the model's family, and how they moved."""
        return await self._client.send(calls.models.aliases(reference))

    async def point_alias(self, reference: object, alias: str) -> Aliases:
        """Point an alias of the model's family to the model; `champion` moves by `promote` only."""
        return await self._client.send(calls.models.point_alias(reference, alias))

    async def remove_alias(self, reference: object, alias: str) -> None:
        """Remove an alias from the model."""
        await self._client.send(calls.models.remove_alias(reference, alias))

    async def card(self, reference: object) -> JsonObject:
        """The card of the model as JSON: what it is, what it was made from, and its scores."""
        return await self._client.send(calls.models.card(reference))

    async def card_markdown(self, reference: object) -> str:
        """The card as markdown."""
        return await self._client.send(calls.models.card_markdown(reference))

    async def card_html(self, reference: object) -> str:
        """The card as an HTML fragment."""
        return await self._client.send(calls.models.card_html(reference))

    async def lineage(
        self,
        reference: object,
        *,
        direction: str | None = None,
        depth: int | None = None,
        as_of: str | None = None,
    ) -> Lineage:
        """What the model was made from, with evaluations (`up`), what was made from it (`down`), or `both`."""
        query = {"direction": direction, "depth": depth, "as_of": as_of}
        return await self._client.send(calls.models.lineage(reference, **query))

    async def lineage_text(
        self, reference: object, file_format: str = "mermaid", *, direction: str | None = None
    ) -> str:
        """The lineage as a `mermaid` flowchart, or as `openlineage` events in JSON."""
        return await self._client.send(
            calls.models.lineage_text(reference, file_format=file_format, direction=direction)
        )

    async def lineage_of(
        self, node: object, *, direction: str | None = None, depth: int | None = None, as_of: str | None = None
    ) -> Lineage:
        """The lineage around a dataset, run, experiment, attempt, evaluation or alias."""
        return await self._client.send(calls.models.lineage_of(node, direction=direction, depth=depth, as_of=as_of))

    async def containing(self, dataset: object, *, as_of: str | None = None) -> ContainingModels:
        """All models trained on a dataset version, directly or through their base model."""
        return await self._client.send(calls.models.containing(dataset, as_of=as_of))

    async def timeline(self, reference: object, *, before: int | None = None, limit: int | None = None) -> Timeline:
        """What happened to the model, newest first."""
        return await self._client.send(calls.models.timeline(reference, before=before, limit=limit))

    async def check_promotion(self, reference: object) -> PromotionCheck:
        """Check the model against each condition of the promotion policy."""
        return await self._client.send(calls.models.check_promotion(reference))

    async def promote(self, reference: object, *, reason: str | None = None, force: bool = False) -> PromotionCheck:
        """Make the model the champion of its family, if the promotion policy allows it; `force` ignores the policy."""
        return await self._client.send(calls.models.promote(reference, reason=reason, force=force))

    async def roll_back(self, reference: object) -> Model:
        """Make the previous champion of the family its champion again, and return it."""
        return await self._client.send(calls.models.roll_back(reference))

    async def verify(self, reference: object) -> Verification:
        """Check every file of the model against its signed manifest."""
        return await self._client.send(calls.models.verify(reference))

    async def sign(self, reference: object) -> Verification:
        """Verify and sign a model that was registered without a signature; for administrators."""
        return await self._client.send(calls.models.sign(reference))

    async def reproduce(self, reference: object) -> Reproduction:
        """Everything that is needed to reproduce the model: configuration, hashes, seed, library versions."""
        return await self._client.send(calls.models.reproduce(reference))

    async def download(
        self,
        reference: object,
        target: Path,
        *,
        part: str | None = None,
        on_progress: ProgressCallback | None = None,
    ) -> int:
        """Save the files as a tar file; `part` is all, merged (no LoRA adapter) or adapter. Returns the bytes."""
        return await self._client.save(calls.models.download(reference, part=part), target, on_progress=on_progress)

    async def download_file(
        self, reference: object, path: str, target: Path, *, on_progress: ProgressCallback | None = None
    ) -> int:
        """Save one file of the model, by its path in the card. Returns the bytes."""
        return await self._client.save(calls.models.download_file(reference, path), target, on_progress=on_progress)

    async def wait_for_experiment(self, experiment_id: str, *, timeout_s: float = 120.0) -> Model:
        """Wait for the model of an experiment to be registered, and return it; raises WaitTimeoutError."""
        return await wait_for_first(
            lambda: self.list(experiment_id=experiment_id),
            what=f"No model of experiment {experiment_id} was registered",
            timeout_s=timeout_s,
        )
