"""Reading predictions: pages in any order through the index, and the scores of each row."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from slm_evaluation.errors import EvaluationNotReadyError
from slm_evaluation.schemas.evaluations import Predictions, Sample
from slm_evaluation.service.planning import index_key
from slm_evaluation.tables import EvaluationRow
from slm_shared.errors import FieldProblem, InvalidError
from slm_shared.storage.objects import ObjectMissingError, ObjectStore

FORMAT = "slm-predictions/1"
PLACES = ("offset", "length")

Columns = dict[str, list[float]]


async def read_index(objects: ObjectStore, row: EvaluationRow) -> dict[str, Any] | None:
    """The index of an evaluation's predictions; None for one that was made before there were any.

    Raises EvaluationNotReadyError while there are no predictions.
    """
    if row.predictions_key is None:
        raise EvaluationNotReadyError(f"The evaluation has no predictions: its status is {row.status}.")
    try:
        index: dict[str, Any] = json.loads(await objects.get_bytes(index_key(row.predictions_key)))
    except ObjectMissingError:
        return None
    return index if index.get("format") == FORMAT else None


async def read_page(
    objects: ObjectStore, row: EvaluationRow, *, sort: str, offset: int, limit: int, exact: bool | None
) -> Predictions:
    """Some predictions in the order of `sort`: `row`, `loss`, or a row metric, with a minus to descend.

    Raises EvaluationNotReadyError, and InvalidError for an order that these predictions do not have.
    """
    index = await read_index(objects, row)
    assert row.predictions_key is not None
    if index is None:
        lines = (await objects.get_bytes(row.predictions_key)).splitlines()
        samples = [Sample.model_validate_json(line) for line in lines]
        kept = [sample for sample in samples if exact is None or sample.exact is exact]
        return Predictions(items=kept[offset : offset + limit], offset=offset, total=len(kept))
    columns: Columns = index["columns"]
    order = _ordered(columns, index["answered"], sort=sort, exact=exact)
    chosen = order[offset : offset + limit]
    reading = (_line(objects, row.predictions_key, columns, position) for position in chosen)
    items = [Sample.model_validate_json(line) for line in await asyncio.gather(*reading)]
    return Predictions(items=items, offset=offset, total=len(order))


def _ordered(columns: Columns, answered: int, *, sort: str, exact: bool | None) -> list[int]:
    """Positions of the answered rows in the order asked for."""
    name = sort.removeprefix("-")
    keys = [name for name in columns if name not in (*PLACES, "right", "tokens")]
    if name not in keys:
        problem = FieldProblem("sort", f"must be one of {', '.join(keys)}, with a minus in front to descend")
        raise InvalidError("The predictions cannot be sorted like that.", errors=[problem])
    if not answered:
        return []
    values = mean_losses(columns) if name == "loss" else columns[name]
    is_exact = columns["exact_match"]
    positions = [place for place in range(answered) if exact is None or bool(is_exact[place]) is exact]
    return sorted(positions, key=lambda position: (values[position], position), reverse=sort.startswith("-"))


def mean_losses(columns: Columns) -> list[float]:
    """Loss per token of each row; a row without tokens has none."""
    return [loss / tokens if tokens else 0.0 for loss, tokens in zip(columns["loss"], columns["tokens"], strict=True)]


async def _line(objects: ObjectStore, key: str, columns: Columns, position: int) -> bytes:
    offset, length = (int(columns[name][position]) for name in PLACES)
    return await objects.get_range(key, offset=offset, length=length)


def row_columns(index: dict[str, Any]) -> tuple[list[int], Columns]:
    """Row numbers and every column of row scores."""
    columns: Columns = index["columns"]
    scores = {name: values for name, values in columns.items() if name not in (*PLACES, "row")}
    return [int(number) for number in columns["row"]], scores


def names_of(columns: Columns) -> Sequence[str]:
    """The row metrics among the columns."""
    return [name for name in columns if name not in ("loss", "right", "tokens")]
