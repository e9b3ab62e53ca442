"""The regression gate: a model that scores worse than its predecessor, beyond what chance explains."""

from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from slm_evaluation.service.comparing import Difference, paired_differences, verdict
from slm_evaluation.service.planning import ids_and_names
from slm_evaluation.store import Neighbours
from slm_evaluation.tables import EvaluationRow
from slm_shared.delivery import outbox
from slm_shared.errors import PlatformError
from slm_shared.events.catalogue import EvaluationRegressed
from slm_shared.metrics import Group, names_in
from slm_shared.storage.objects import ObjectStore

log = structlog.get_logger()

GUARDED = frozenset(names_in(Group.TEACHER_FORCED, Group.ANSWERS))


@dataclass(frozen=True)
class Regression:
    """What is worse in the evaluation of one model than in that of the version before it."""

    before: EvaluationRow
    now: EvaluationRow
    differences: dict[str, Difference]


async def find_regressions(
    objects: ObjectStore, row: EvaluationRow, predictions_key: str, neighbours: Neighbours
) -> list[Regression]:
    """Compare an evaluation that is about to complete with those of the versions before and after it.

    Both, because versions are measured in any order. Evaluations that cannot be compared count as no regression. Raises
    UnavailableError when the object store does not answer.
    """
    present: Any = EvaluationRow(dataset=row.dataset, predictions_key=predictions_key, status=row.status)
    found = []
    if neighbours.before is not None:
        found.append(Regression(neighbours.before, row, await _worse(objects, neighbours.before, present)))
    if neighbours.after is not None:
        found.append(Regression(row, neighbours.after, await _worse(objects, present, neighbours.after)))
    return [each for each in found if each.differences]


async def _worse(objects: ObjectStore, before: EvaluationRow, now: EvaluationRow) -> dict[str, Difference]:
    try:
        found = await paired_differences(objects, before, now)
    except PlatformError as error:
        if error.status == 503:
            raise
        log.info("regression.not_comparable", before=before.predictions_key, why=error.message)
        return {}
    return {name: each for name, each in found.items() if name in GUARDED and verdict(name, each) == "worse"}


async def announce_regression(session: AsyncSession, regression: Regression) -> None:
    """Publish `evaluation.regressed`."""
    before, found = regression.before, regression.differences
    facts = {
        "predecessor_evaluation_id": before.id,
        "predecessor_model_id": before.model_id,
        "predecessor_model_name": before.model["name"],
        "differences": {name: each.second - each.first for name, each in found.items()},
        "low": {name: each.low for name, each in found.items()},
        "high": {name: each.high for name, each in found.items()},
    }
    await outbox.append(session, EvaluationRegressed.model_validate({**ids_and_names(regression.now), **facts}))
