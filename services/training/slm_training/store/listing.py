"""Lists of runs: filtered, sorted, in keyset pages, each order backed by an index."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Float, Row, Select, Text, cast, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from slm_shared.http.paging import PageRequest
from slm_shared.http.sorting import Order, Sort, sorted_page
from slm_training.domain import RunState, states_shown_as
from slm_training.schemas.runs import ExperimentFilters, Filters
from slm_training.tables import RunRow

# What is not there yet sorts as the earliest moment and the greatest loss. Written as in the migration that made the
# indexes: an index on an expression is only found by the very same expression.
SORTS: dict[str, Sort] = {
    "created_at": Sort(RunRow.created_at.expression, datetime),
    "name": Sort(RunRow.name.expression, str),
    "completed_at": Sort(func.coalesce(RunRow.completed_at, text("'-infinity'")), datetime),
    "eval_loss": Sort(func.coalesce(RunRow.result["eval_loss"].astext.cast(Float), text("'Infinity'")), float),
}


async def list_runs(
    session: AsyncSession, query: PageRequest, order: Order, filters: Filters
) -> Sequence[Row[tuple[RunRow, Any]]]:
    """One page of runs (and one more row), each with its place in the order. Raises InvalidError for a wrong cursor."""
    page = sorted_page(_filtered(select(RunRow), filters), order, identity=RunRow.id.expression, query=query)
    rows: Sequence[Row[tuple[RunRow, Any]]] = (await session.execute(page)).all()
    return rows


def _filtered(statement: Select[Any], filters: Filters) -> Select[Any]:
    if filters.status is not None:
        statement = statement.where(RunRow.state.in_(states_shown_as(filters.status)))
    if isinstance(filters, ExperimentFilters):
        if filters.status is None:
            statement = statement.where(RunRow.state != RunState.DRAFT)
        if filters.dataset_id is not None:
            trained, evaluated = RunRow.training_dataset["id"].astext, RunRow.evaluation_dataset["id"].astext
            statement = statement.where(or_(trained == str(filters.dataset_id), evaluated == str(filters.dataset_id)))
        if filters.base_model_id is not None:
            statement = statement.where(RunRow.base_model["id"].astext == str(filters.base_model_id))
    if filters.tag is not None:
        statement = statement.where(RunRow.tags.contains([filters.tag]))
    if filters.owner is not None:
        statement = statement.where(RunRow.owner == filters.owner)
    if filters.q:
        words = func.concat_ws(" ", RunRow.name, RunRow.goal, RunRow.description, cast(RunRow.tags, Text))
        statement = statement.where(words.icontains(filters.q, autoescape=True))
    return statement
