"""What may be changed of a model: its description and tags, and whether it is there."""

from sqlalchemy.ext.asyncio import AsyncSession

from slm_registry import store
from slm_registry.domain import LATEST
from slm_registry.errors import ModelInUseError
from slm_registry.schemas import ModelEdit
from slm_registry.service import journal
from slm_registry.service.aliases import REGISTRY, drop_alias, move_alias
from slm_registry.service.reading import get_model
from slm_registry.tables import ModelRow
from slm_shared.delivery import outbox
from slm_shared.events.catalogue import ModelDeleted
from slm_shared.http.preconditions import VersionConflictError, version_named
from slm_shared.storage import audit
from slm_shared.storage.database import Database
from slm_shared.storage.objects import ObjectStore

SHOWN_CHILDREN = 5


async def edit_model(
    session: AsyncSession, reference: str, edit: ModelEdit, *, if_match: str | None, actor: str
) -> ModelRow:
    """Change description and tags, if the model is still the one that the caller saw.

    Raises VersionRequiredError, VersionConflictError and what `get_model` raises.
    """
    row = await get_model(session, reference)
    named = version_named(if_match)
    revision = row.revision if named is None else named
    values = edit.model_dump(include=edit.model_fields_set)
    if not await store.edit_model(session, row, values, revision=revision):
        hint = "Read the model again and repeat the edit."
        raise VersionConflictError("Somebody has changed the model in between.", hint=hint)
    await audit.append(session, "model.edited", actor=actor, object_id=row.id, name=row.name, fields=sorted(values))
    body = {"by": actor, "revision": revision + 1, **values}
    await journal.note(session, "model.edited", body, model_id=row.id)
    key = str(row.id)
    session.expire(row)
    return await get_model(session, key)


async def delete_model(database: Database, objects: ObjectStore, reference: str, *, actor: str) -> None:
    """Delete a model that nothing refers to; what stays is a tombstone. Then remove its files, unless others have them.

    Raises ModelInUseError and what `get_model` raises.
    """
    async with database.transaction() as session:
        prefix = await _mark_deleted(session, reference, actor=actor)
    # After the commit: a rolled back deletion must not have lost files. Files that outlive a crash here do no harm.
    if prefix is not None:
        await objects.remove_prefix(f"{prefix}/")


async def _mark_deleted(session: AsyncSession, reference: str, *, actor: str) -> str | None:
    """Let a model be a tombstone; returns the prefix of files that no other model shares."""
    row = await get_model(session, reference)
    # No alias moves to the model between the check and its deletion.
    await store.lock_family(session, row.family)
    await _refuse_if_used(session, row)
    if await store.mark_deleted(session, row):
        await audit.append(session, "model.deleted", actor=actor, object_id=row.id, name=row.name)
        event = ModelDeleted(model_id=row.id, name=row.name, family=row.family, version=row.version)
        await outbox.append(session, event)
        await journal.note(session, event.subject, event.model_dump(mode="json") | {"by": actor}, model_id=row.id)
    if (newest := await store.latest_version_of(session, row.family)) is not None:
        await move_alias(session, newest, LATEST, actor=REGISTRY, reason="the newest version was deleted")
    else:
        await drop_alias(session, row, LATEST, actor=REGISTRY, reason="the last version was deleted")
    return None if await store.shares_its_files(session, row) else row.artifact_prefix


async def _refuse_if_used(session: AsyncSession, row: ModelRow) -> None:
    children = await store.children_of(session, row.id, limit=SHOWN_CHILDREN + 1)
    if children:
        shown = ", ".join(children[:SHOWN_CHILDREN]) + (" and more" if len(children) > SHOWN_CHILDREN else "")
        raise ModelInUseError(f"The model is the base of {shown}.", hint="Delete those first.")
    named = [name for name in await store.aliases_of_model(session, row.id) if name != LATEST]
    if named:
        hint = "Move or remove the alias first."
        raise ModelInUseError(f"The model is {', '.join(f'{row.family}@{name}' for name in named)}.", hint=hint)
