"""Reading predictions: pages in any order through the index, and the scores of each row."""

import asyncio
import json
from collections.abc import Sequence

from pydantic import BaseModel

from slm_evaluation.errors import EvaluationNotReadyError
from slm_evaluation.schemas.evaluations import Predictions, Sample
from slm_evaluation.service.planning import index_key
from slm_evaluation.tables import EvaluationRow
from slm_shared.errors import FieldProblem, InvalidError
from slm_shared.storage.objects import ObjectMissingError, ObjectStore

FORMAT = "slm-predictions/1"
PLACES = ("offset", "length")

Columns = dict[str, list[float]]


class PredictionsIndex(BaseModel):
    """The index of predictions: of each row its number, its place in the file, and what it scores, by column.

    The first `answered` rows have answers in the file.
    """

    format: str
    answered: int
    columns: Columns


def key_of(row: EvaluationRow) -> str:
    """The object with the predictions of an evaluation. Raises EvaluationNotReadyError while there are none."""
    if row.predictions_key is None:
        raise EvaluationNotReadyError(f"The evaluation has no predictions: its status is {row.status}.")
    return row.predictions_key


async def read_index(objects: ObjectStore, row: EvaluationRow) -> PredictionsIndex | None:
    """The index of an evaluation's predictions; None for one that was made before predictions had one.

    Raises EvaluationNotReadyError while there are no predictions.
    """
    try:
        stored = json.loads(await objects.get_bytes(index_key(key_of(row))))
    except ObjectMissingError:
        return None
    return PredictionsIndex.model_validate(stored) if stored.get("format") == FORMAT else None


async def read_page(
    objects: ObjectStore, row: EvaluationRow, *, sort: str, offset: int, limit: int, exact: bool | None
) -> Predictions:
    """Some predictions in the order of `sort`: `row`, `loss`, or a row metric, with a minus to descend.

    Raises EvaluationNotReadyError, and InvalidError for an order that these predictions do not have.
    """
    index, key = await read_index(objects, row), key_of(row)
    if index is None:
        lines = (await objects.get_bytes(key)).splitlines()
        samples = [Sample.model_validate_json(line) for line in lines]
        kept = [sample for sample in samples if exact is None or sample.exact is exact]
        return Predictions(items=kept[offset : offset + limit], offset=offset, total=len(kept))
    order = _ordered(index.columns, index.answered, sort=sort, exact=exact)
    chosen = order[offset : offset + limit]
    reading = (_line(objects, key, index.columns, position) for position in chosen)
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


def row_columns(index: PredictionsIndex) -> tuple[list[int], Columns]:
    """Row numbers and every column of row scores."""
    scores = {name: values for name, values in index.columns.items() if name not in (*PLACES, "row")}
    return [int(number) for number in index.columns["row"]], scores


def names_of(columns: Columns) -> Sequence[str]:
    """The row metrics among the columns."""
    return [name for name in columns if name not in ("loss", "right", "tokens")]
