"""Aliases: names within a family that move from model to model and keep their history."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from slm_registry import store
from slm_registry.domain import CHAMPION, LATEST, is_alias
from slm_registry.errors import AliasNotFoundError, AliasReservedError
from slm_registry.schemas import Alias, Aliases, AliasMove, Evidence
from slm_registry.service import journal
from slm_registry.service.reading import get_model
from slm_registry.tables import AliasMoveRow, ModelRow
from slm_shared.errors import FieldProblem, Hint, InvalidError
from slm_shared.storage import audit

REGISTRY = "registry"


async def move_alias(
    session: AsyncSession, model: ModelRow, name: str, *, actor: str, reason: str, evidence: Sequence[Evidence] = ()
) -> AliasMoveRow | None:
    """Let an alias of the model's family lead to it; None when it does already."""
    # Two moves at once would both note the same model as the one before.
    await store.lock_family(session, model.family)
    current = await store.find_alias(session, model.family, name)
    if current is not None and current.model_id == model.id:
        return None
    previous = current.model_id if current else None
    await store.point_alias(session, model.family, name, model.id)
    return await _note(
        session, model.family, name, to=model.id, previous=previous, actor=actor, reason=reason, evidence=evidence
    )


async def drop_alias(session: AsyncSession, model: ModelRow, name: str, *, actor: str, reason: str) -> None:
    """Let an alias lead nowhere any more."""
    await store.drop_alias(session, model.family, name)
    await _note(session, model.family, name, to=None, previous=model.id, actor=actor, reason=reason)


async def _note(
    session: AsyncSession,
    family: str,
    name: str,
    *,
    to: UUID | None,
    previous: UUID | None,
    actor: str,
    reason: str,
    evidence: Sequence[Evidence] = (),
) -> AliasMoveRow:
    """Keep a move in the history of the alias, and in the journal for both models."""
    ids = {"model_id": to and str(to), "previous_model_id": previous and str(previous)}
    body = {"family": family, "alias": name, **ids, "by": actor, "reason": reason}
    await journal.note(session, "alias.moved", body, model_id=to or previous)
    if to and previous:
        await journal.note(session, "alias.left", body, model_id=previous)
    shown = [each.model_dump() for each in evidence]
    values = {"model_id": to, "previous_model_id": previous, "moved_by": actor, "reason": reason, "evidence": shown}
    return await store.note_alias_move(session, family=family, name=name, **values)


async def point_alias(session: AsyncSession, reference: str, name: str, *, actor: str) -> None:
    """Move a free alias to a model by hand. Raises InvalidError, AliasReservedError and what `get_model` raises."""
    model = await get_model(session, reference)
    _check_free(name)
    if await move_alias(session, model, name, actor=actor, reason="moved"):
        await audit.append(session, "alias.moved", actor=actor, object_id=model.id, alias=f"{model.family}@{name}")


async def remove_alias(session: AsyncSession, reference: str, name: str, *, actor: str) -> None:
    """Take a free alias away from a model.

    Raises AliasNotFoundError, InvalidError, AliasReservedError and what `get_model` raises.
    """
    model = await get_model(session, reference)
    _check_free(name)
    await store.lock_family(session, model.family)
    current = await store.find_alias(session, model.family, name)
    if current is None or current.model_id != model.id:
        raise AliasNotFoundError("The model has no such alias.", hint=Hint.LIST_ALIASES)
    await drop_alias(session, model, name, actor=actor, reason="removed")
    await audit.append(session, "alias.removed", actor=actor, object_id=model.id, alias=f"{model.family}@{name}")


def _check_free(name: str) -> None:
    if name == LATEST:
        raise AliasReservedError("The alias latest follows the newest version by itself.")
    if name == CHAMPION:
        hint = "Promote the model: the promotion policy decides."
        raise AliasReservedError("The alias champion is moved by promotion only.", hint=hint)
    if not is_alias(name):
        problem = FieldProblem(
            "alias", "must be lower-case letters, digits and single hyphens, 40 at most, and no v<n>"
        )
        raise InvalidError("This is no name for an alias.", errors=[problem])


async def aliases_of(session: AsyncSession, reference: str) -> Aliases:
    """The aliases of a model's family and their history; the model may be deleted. Raises ModelNotFoundError."""
    family = (await get_model(session, reference, deleted=True)).family
    current, moves = await store.aliases_of_family(session, family), await store.alias_moves_of(session, family)
    ids = {row.model_id for row in current}
    ids |= {each for row in moves for each in (row.model_id, row.previous_model_id) if each}
    names = {key: row.name for key, row in (await store.models_of(session, list(ids))).items()}
    shown = [
        Alias(name=row.name, model=names[row.model_id], model_id=row.model_id, moved_at=row.moved_at) for row in current
    ]
    return Aliases(family=family, aliases=shown, history=[AliasMove.of(row, names) for row in moves])
