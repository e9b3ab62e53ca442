"""Promotion with evidence: `champion` moves when the policy holds, and back again."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from slm_registry import store
from slm_registry.domain import CHAMPION
from slm_registry.domain.promotion import Candidate, Policy, judge
from slm_registry.errors import NothingToRollBackError, PromotionRefusedError
from slm_registry.schemas import Evidence, Model, Promotion, PromotionCheck
from slm_registry.service import journal
from slm_registry.service.aliases import move_alias
from slm_registry.service.artifacts import ArtifactReader
from slm_registry.service.reading import get_model
from slm_registry.tables import EvaluationRow, ModelRow
from slm_shared.delivery import outbox
from slm_shared.errors import FieldProblem, ForbiddenError
from slm_shared.events.catalogue import ModelPromoted
from slm_shared.identity.principal import Principal, Role
from slm_shared.storage import audit
from slm_shared.storage.database import Database

Scores = dict[str, dict[str, float]]


async def check_promotion(
    session: AsyncSession, row: ModelRow, policy: Policy, *, problems: Sequence[str]
) -> PromotionCheck:
    """Whether a model may become champion, by every condition; `problems` are those of its files."""
    rival = await _rival(session, row)
    evaluations = await store.evaluations_of(session, [row.id] + ([rival.id] if rival else []))
    regressions = await store.regressions_of(session, row.id)
    candidate = Candidate(
        name=row.name,
        scores=_scores([each for each in evaluations if each.model_id == row.id]),
        rival=rival.name if rival else None,
        rival_scores=_scores([each for each in evaluations if rival and each.model_id == rival.id]),
        regressed_metrics=frozenset(name for fact in regressions for name in fact.body["differences"]),
        problems=tuple(problems),
    )
    conditions = [Evidence.model_validate(each) for each in judge(policy, candidate)]
    allowed = all(each.holds for each in conditions)
    return PromotionCheck(model=row.name, rival=candidate.rival, allowed=allowed, conditions=conditions)


async def _rival(session: AsyncSession, row: ModelRow) -> ModelRow | None:
    """The champion of the family, or else the base of the model."""
    champion = await store.find_alias(session, row.family, CHAMPION)
    if champion is not None and champion.model_id != row.id:
        return (await store.models_of(session, [champion.model_id])).get(champion.model_id)
    return await store.find_model(session, str(row.base_model.id)) if row.base_model else None


def _scores(evaluations: Sequence[EvaluationRow]) -> Scores:
    """Metrics by dataset; evaluations come oldest first, so the newest value of each metric remains."""
    found: dict[str, dict[str, float]] = {}
    for each in evaluations:
        found.setdefault(each.dataset_name, {}).update(each.metrics)
    return found


async def promote_model(
    database: Database,
    reader: ArtifactReader,
    policy: Policy,
    model: ModelRow,
    request: Promotion,
    *,
    principal: Principal,
) -> PromotionCheck:
    """Read a model's files back, then let `champion` lead to it, if the policy holds or the request says `force`.

    Raises PromotionRefusedError naming each condition that failed, and ForbiddenError for force by a non-administrator.
    """
    if request.force and not principal.may(Role.ADMIN):
        raise ForbiddenError("Only administrators may promote a model by force.")
    verified = await reader.verify(model)
    # Reading gigabytes back takes minutes, so no transaction is open meanwhile; the model may be deleted by now.
    async with database.transaction(answering=True) as session:
        row = await get_model(session, str(model.id))
        return await _promote(session, row, policy, request, problems=verified.problems, actor=principal.subject)


async def _promote(
    session: AsyncSession, row: ModelRow, policy: Policy, request: Promotion, *, problems: Sequence[str], actor: str
) -> PromotionCheck:
    await store.lock_family(session, row.family)
    found = await check_promotion(session, row, policy, problems=problems)
    failed = [each for each in found.conditions if not each.holds]
    if failed and not request.force:
        errors = [FieldProblem(each.condition, each.finding) for each in failed]
        names = ", ".join(each.condition for each in failed)
        message = f"{row.name} does not become champion; what does not hold: {names}."
        hint = "Fix what failed. An administrator can promote it anyway, with force."
        raise PromotionRefusedError(message, hint=hint, errors=errors)
    why = request.reason or ("promoted by force" if failed else "promoted")
    await _move(session, row, reason=why, evidence=found.conditions, actor=actor)
    return found


async def roll_back(session: AsyncSession, reference: str, *, actor: str) -> Model:
    """Let `champion` of a model's family lead to the model it led to before. Raises NothingToRollBackError."""
    family = (await get_model(session, reference, deleted=True)).family
    await store.lock_family(session, family)
    current = await store.find_alias(session, family, CHAMPION)
    moves = await store.alias_moves_of(session, family, name=CHAMPION)
    mine = [move.previous_model_id for move in moves if current and move.model_id == current.model_id]
    before = mine[0] if mine else None
    row = (await store.models_of(session, [before])).get(before) if before else None
    if row is None or row.deleted_at is not None:
        raise NothingToRollBackError(f"There is no earlier champion of {family} to go back to.")
    finding = "An administrator or member went back to the champion before."
    evidence = [Evidence(condition="rollback", holds=True, finding=finding)]
    await _move(session, row, reason="rolled back", evidence=evidence, actor=actor)
    # Its aliases were read before the move.
    session.expire(row)
    return Model.of(await get_model(session, f"{family}@{CHAMPION}"))


async def _move(session: AsyncSession, row: ModelRow, *, reason: str, evidence: Sequence[Evidence], actor: str) -> None:
    moved = await move_alias(session, row, CHAMPION, actor=actor, reason=reason, evidence=evidence)
    if moved is None:
        return
    event = ModelPromoted(
        model_id=row.id,
        name=row.name,
        family=row.family,
        version=row.version,
        previous_model_id=moved.previous_model_id,
        reason=reason,
    )
    await outbox.append(session, event)
    body = event.model_dump(mode="json") | {"by": actor, "evidence": [each.model_dump() for each in evidence]}
    await journal.note(session, event.subject, body, model_id=row.id)
    await audit.append(session, event.subject, actor=actor, object_id=row.id, name=row.name, reason=reason)
