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
        """A page of models, newest first, or by `sort`: a column's name, with a minus in front to descend."""
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
        """Register a model made elsewhere as the next version of a family, from its folder or a tar file of that.

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
        """Change what is given. With `revision`, only if nobody has changed the model since."""
        changes = changes_of(description=description, tags=tags)
        return await self._client.send(calls.models.edit(reference, changes, revision=revision))

    async def delete(self, reference: object) -> None:
        """Delete a model that nothing refers to; its lineage stays."""
        await self._client.send(calls.models.delete(reference))

    async def compare(self, *references: object) -> ModelComparison:
        """Two to ten models side by side."""
        return await self._client.send(calls.models.compare(references))

    async def usage(self, reference: object) -> Usage:
        """What it was used for, how often and when last."""
        return await self._client.send(calls.models.usage(reference))

    async def aliases(self, reference: object) -> Aliases:
        """Where the aliases of its family lead, and how they moved."""
        return await self._client.send(calls.models.aliases(reference))

    async def point_alias(self, reference: object, alias: str) -> Aliases:
        """Let a free alias of its family lead to it."""
        return await self._client.send(calls.models.point_alias(reference, alias))

    async def remove_alias(self, reference: object, alias: str) -> None:
        """Take a free alias away from it."""
        await self._client.send(calls.models.remove_alias(reference, alias))

    async def card(self, reference: object) -> JsonObject:
        """Its card: what it is, was made from and scores."""
        return await self._client.send(calls.models.card(reference))

    async def card_markdown(self, reference: object) -> str:
        """Its card as markdown."""
        return await self._client.send(calls.models.card_markdown(reference))

    async def card_html(self, reference: object) -> str:
        """Its card as an HTML fragment."""
        return await self._client.send(calls.models.card_html(reference))

    async def lineage(
        self,
        reference: object,
        *,
        direction: str | None = None,
        depth: int | None = None,
        as_of: str | None = None,
    ) -> Lineage:
        """What it was made from and scores (`up`, the default), what came of it (`down`), or `both`."""
        query = {"direction": direction, "depth": depth, "as_of": as_of}
        return await self._client.send(calls.models.lineage(reference, **query))

    async def lineage_text(
        self, reference: object, file_format: str = "mermaid", *, direction: str | None = None
    ) -> str:
        """Its lineage as `mermaid` or as `openlineage` events in JSON."""
        return await self._client.send(
            calls.models.lineage_text(reference, file_format=file_format, direction=direction)
        )

    async def lineage_of(
        self, node: object, *, direction: str | None = None, depth: int | None = None, as_of: str | None = None
    ) -> Lineage:
        """The lineage around a dataset, run, experiment, attempt, evaluation or alias."""
        return await self._client.send(calls.models.lineage_of(node, direction=direction, depth=depth, as_of=as_of))

    async def containing(self, dataset: object, *, as_of: str | None = None) -> ContainingModels:
        """Every model that contains a dataset version, directly or through its base."""
        return await self._client.send(calls.models.containing(dataset, as_of=as_of))

    async def timeline(self, reference: object, *, before: int | None = None, limit: int | None = None) -> Timeline:
        """What happened to it, newest first."""
        return await self._client.send(calls.models.timeline(reference, before=before, limit=limit))

    async def check_promotion(self, reference: object) -> PromotionCheck:
        """Whether it may become champion, by every condition of the policy."""
        return await self._client.send(calls.models.check_promotion(reference))

    async def promote(self, reference: object, *, reason: str | None = None, force: bool = False) -> PromotionCheck:
        """Let `champion` of its family lead to it, if the policy holds."""
        return await self._client.send(calls.models.promote(reference, reason=reason, force=force))

    async def roll_back(self, reference: object) -> Model:
        """Let `champion` of its family lead to the model before; returns that."""
        return await self._client.send(calls.models.roll_back(reference))

    async def verify(self, reference: object) -> Verification:
        """Have every file read back and compared with the signed manifest."""
        return await self._client.send(calls.models.verify(reference))

    async def sign(self, reference: object) -> Verification:
        """Vouch for a model from before models were signed, once every file of it is read back; for administrators."""
        return await self._client.send(calls.models.sign(reference))

    async def reproduce(self, reference: object) -> Reproduction:
        """What it takes to make it again: configuration, hashes, seed, library versions."""
        return await self._client.send(calls.models.reproduce(reference))

    async def download(
        self,
        reference: object,
        target: Path,
        *,
        part: str | None = None,
        on_progress: ProgressCallback | None = None,
    ) -> int:
        """Save its files as one tar archive; `part` is all, merged (no LoRA adapter) or adapter. Returns the bytes."""
        return await self._client.save(calls.models.download(reference, part=part), target, on_progress=on_progress)

    async def download_file(
        self, reference: object, path: str, target: Path, *, on_progress: ProgressCallback | None = None
    ) -> int:
        """Save one of its files, by its path as the card names it. Returns the bytes."""
        return await self._client.save(calls.models.download_file(reference, path), target, on_progress=on_progress)

    async def wait_for_experiment(self, experiment_id: str, *, timeout_s: float = 120.0) -> Model:
        """The model that came of an experiment, once the registry has it."""
        return await wait_for_first(
            lambda: self.list(experiment_id=experiment_id),
            what=f"No model of experiment {experiment_id} was registered",
            timeout_s=timeout_s,
        )
