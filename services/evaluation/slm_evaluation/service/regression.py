"""The regression gate: a model that scores worse than its predecessor, beyond what chance explains."""

from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from slm_evaluation.domain import ANSWERS, TEACHER_FORCED
from slm_evaluation.service.comparing import Difference, paired_differences, verdict
from slm_evaluation.tables import EvaluationRow
from slm_shared import outbox
from slm_shared.errors import PlatformError
from slm_shared.events import EvaluationRegressed
from slm_shared.objects import ObjectStore

log = structlog.get_logger()

GUARDED = frozenset({*TEACHER_FORCED, *ANSWERS})


async def find_regressions(
    objects: ObjectStore, before: EvaluationRow, predictions_key: str, now: EvaluationRow
) -> dict[str, Difference]:
    """The metrics in which an evaluation that is about to complete is worse than its predecessor's.

    What cannot be compared is no regression; the object store being away raises UnavailableError.
    """
    present: Any = EvaluationRow(dataset=now.dataset, predictions_key=predictions_key, status=now.status)
    try:
        found = await paired_differences(objects, before, present)
    except PlatformError as error:
        if error.status == 503:
            raise
        log.info("regression.not_comparable", evaluation_id=str(now.id), why=error.message)
        return {}
    return {name: each for name, each in found.items() if name in GUARDED and verdict(name, each) == "worse"}


async def announce_regression(
    session: AsyncSession, row: EvaluationRow, before: EvaluationRow, found: dict[str, Difference]
) -> None:
    """Publish `evaluation.regressed`."""
    event = EvaluationRegressed(
        evaluation_id=row.id,
        model_id=row.model_id,
        model_name=row.model["name"],
        dataset_id=row.dataset_id,
        dataset_name=row.dataset["name"],
        predecessor_evaluation_id=before.id,
        predecessor_model_id=before.model_id,
        predecessor_model_name=before.model["name"],
        differences={name: each.second - each.first for name, each in found.items()},
        low={name: each.low for name, each in found.items()},
        high={name: each.high for name, each in found.items()},
    )
    await outbox.append(session, event)
