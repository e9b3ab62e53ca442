"""Evaluations as they are read: one, or a page of them."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from slm_evaluation import store
from slm_evaluation.errors import EvaluationNotFoundError
from slm_evaluation.schemas.evaluations import Evaluation, Filters
from slm_evaluation.tables import EvaluationRow
from slm_shared.errors import Hint
from slm_shared.http.paging import Page, PageRequest
from slm_shared.http.sorting import order_of, page_of_sorted

SORTED_BY = tuple(store.SORTS)


async def find_evaluation(session: AsyncSession, evaluation_id: UUID) -> EvaluationRow:
    """An evaluation. Raises EvaluationNotFoundError."""
    return existing(await store.find(session, evaluation_id))


def existing(row: EvaluationRow | None) -> EvaluationRow:
    """The row itself. Raises EvaluationNotFoundError for None."""
    if row is None:
        raise EvaluationNotFoundError("There is no such evaluation.", hint=Hint.LIST_EVALUATIONS)
    return row


async def list_evaluations(
    session: AsyncSession, query: PageRequest, *, sort: str, filters: Filters
) -> Page[Evaluation]:
    """One page of evaluations in the order of `sort`. Raises InvalidError for an unknown order or cursor."""
    order = order_of(sort, store.SORTS)
    rows = await store.list_evaluations(session, query, order, filters)
    return page_of_sorted(rows, query, order, key=lambda row: row.id, show=Evaluation.of)
