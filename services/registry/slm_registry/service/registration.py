"""Registering models: once each, under gapless versions, signed."""

from uuid import UUID

from pydantic_core import to_jsonable_python
from sqlalchemy.ext.asyncio import AsyncSession

from slm_registry import store
from slm_registry.domain import LATEST, model_name
from slm_registry.errors import SigningKeyMissingError
from slm_registry.schemas import Verification
from slm_registry.service import journal
from slm_registry.service.aliases import REGISTRY, move_alias
from slm_registry.service.artifacts import ArtifactReader
from slm_registry.service.reading import get_model
from slm_registry.tables import ModelRow
from slm_shared.delivery import outbox
from slm_shared.delivery.bus import RetryLater
from slm_shared.events.catalogue import ExperimentCompleted, ModelRegistered
from slm_shared.references import PinnedReference
from slm_shared.storage import audit
from slm_shared.storage.database import Database
from slm_shared.storage.ids import new_id
from slm_shared.storage.signing import ArtifactSigner

ARTIFACT_FIELDS = {"artifact_prefix", "manifest_key", "manifest_sha256", "size_bytes", "parameter_count"}
EVALUATION_FIELDS = {
    "evaluation_dataset_name",
    "evaluation_dataset_key",
    "evaluation_dataset_sha256",
    "evaluation_row_format",
    "evaluation_mapping",
}
MADE_BY = {"experiment_id", "run_id", "run_name", "goal", "method", "config", "steps", "train_loss"}
NOTED = (
    "name", "kind", "base_model", "experiment_id", "run_id", "run_name", "training_dataset", "evaluation_dataset",
    "manifest_sha256",
)  # fmt: skip


class Registrar:
    """Adds models, signs their artifacts, takes note of them and announces them."""

    def __init__(self, signer: ArtifactSigner | None) -> None:
        self._signer = signer

    async def register_fine_tuned(self, session: AsyncSession, event: ExperimentCompleted) -> None:
        """Register what an experiment made as the next version of its family, once per experiment.

        Raises RetryLater while the base model is not registered here.
        """
        if await store.find_model_of_experiment(session, event.experiment_id) is not None:
            return
        base = await store.find_model(session, str(event.base_model_id))
        if base is None:
            raise RetryLater(f"the base model {event.base_model_id} is not registered yet")
        version = await store.next_version(session, event.family)
        if await self.add(session, _fine_tuned(event, base, version), event) is None:
            # Another registry was faster; its transaction has registered and announced this very experiment.
            raise RetryLater("another process is registering the experiment")
        await store.count_use(session, base.id, "training")

    async def add(
        self, session: AsyncSession, new: ModelRow, event: ExperimentCompleted | None = None
    ) -> ModelRow | None:
        """Add a model, whose family's counter the caller has raised; None when it is registered already.

        The newest version of a family is its `latest`.
        """
        if self._signer is not None:
            new.signature = self._signer.sign(new.id, new.name, new.manifest_sha256)
        model = await store.add_model(session, new)
        if model is None:
            return None
        facts = {name: getattr(model, name) for name in NOTED} | {"model_id": model.id}
        facts |= {"attempt": event.attempt} if event else {}
        await journal.note(session, "model.registered", to_jsonable_python(facts), model_id=model.id)
        newest = await store.latest_version_of(session, model.family)
        await move_alias(session, newest or model, LATEST, actor=REGISTRY, reason="registered")
        await _announce(session, model, event)
        return model

    async def sign(self, database: Database, reader: ArtifactReader, model: ModelRow, *, actor: str) -> Verification:
        """Sign a model that was registered before models were signed, if every file is as registered.

        A model that has a signature is only verified. Raises SigningKeyMissingError.
        """
        found = await reader.verify(model, as_signed=model.signature is not None)
        if model.signature is not None or not found.intact:
            return found
        if self._signer is None:
            raise SigningKeyMissingError("The registry has no key to sign with.", hint="Set SLM_SIGNING_KEY.")
        signature = self._signer.sign(model.id, model.name, model.manifest_sha256)
        async with database.transaction(answering=True) as session:
            if await store.set_signature(session, model, signature):
                await audit.append(session, "model.signed", actor=actor, object_id=model.id, name=model.name)
                await journal.note(session, "model.signed", {"name": model.name, "by": actor}, model_id=model.id)
        async with database.read(answering=True) as session:
            signed = await get_model(session, str(model.id))
        return await reader.verify(signed)


def _fine_tuned(event: ExperimentCompleted, base: ModelRow, version: int) -> ModelRow:
    """The model that an experiment made."""
    training = (event.training_dataset_id, event.training_dataset_name, event.training_dataset_sha256)
    evaluation = (event.evaluation_dataset_id, event.evaluation_dataset_name, event.evaluation_dataset_sha256)
    return ModelRow(
        id=new_id(),
        name=model_name(event.family, version),
        family=event.family,
        version=version,
        kind="fine_tuned",
        base_model=PinnedReference(id=base.id, name=base.name),
        training_dataset=_reference(*training),
        evaluation_dataset=_reference(*evaluation),
        architecture=base.architecture,
        eval_loss=event.eval_loss,
        duration_s=event.duration_s,
        **event.model_dump(include=ARTIFACT_FIELDS | MADE_BY),
    )


def _reference(dataset_id: UUID | None, name: str | None, sha256: str | None) -> PinnedReference | None:
    return PinnedReference(id=dataset_id, name=name or "", sha256=sha256) if dataset_id else None


async def _announce(session: AsyncSession, model: ModelRow, event: ExperimentCompleted | None) -> None:
    """Publish `model.registered`, with the evaluation set of the experiment that made the model, if any."""
    names = ARTIFACT_FIELDS | {"name", "family", "version", "kind", "experiment_id", "run_id", "signature"}
    evaluation = event.model_dump(include=EVALUATION_FIELDS) if event else {}
    await outbox.append(
        session,
        ModelRegistered(
            model_id=model.id,
            base_model_id=model.base_model.id if model.base_model else None,
            training_dataset_id=event.training_dataset_id if event else None,
            evaluation_dataset_id=event.evaluation_dataset_id if event else None,
            **{name: getattr(model, name) for name in names},
            **evaluation,
        ),
    )
