"""Predictions as files: one JSON line per answered row, and an index of every measured row beside them.

The index (`slm-predictions/1`) is one JSON object with a column per fact, aligned by position: `row` (place in the
dataset, from 0), `loss` (summed nats), `right` and `tokens`, one column per row metric, and where the line of the
answer lies (`offset`, `length` in bytes). Answered rows come first; columns that only they have are shorter.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from slm_ml.evaluation import RowScore

FORMAT = "slm-predictions/1"


def write_predictions(path: Path, samples: Sequence[Mapping[str, Any]]) -> list[tuple[int, int]]:
    """Write the answers as JSON lines; returns offset and length in bytes of each."""
    places, offset = [], 0
    with path.open("wb") as out:
        for sample in samples:
            line = (json.dumps(sample, ensure_ascii=False) + "\n").encode()
            out.write(line)
            places.append((offset, len(line)))
            offset += len(line)
    return places


def write_index(
    path: Path,
    *,
    numbers: Sequence[int],
    scores: Sequence[RowScore],
    columns: Mapping[str, Sequence[float]],
    places: Sequence[tuple[int, int]],
) -> None:
    """Write the index; `numbers` are the places of the rows in the dataset, answered ones first."""
    index = {
        "format": FORMAT,
        "rows": len(numbers),
        "answered": len(places),
        "columns": {
            "row": list(numbers),
            "loss": [score.loss for score in scores],
            "right": [score.right for score in scores],
            "tokens": [score.tokens for score in scores],
            **{name: list(values) for name, values in columns.items()},
            "offset": [offset for offset, _ in places],
            "length": [length for _, length in places],
        },
    }
    path.write_text(json.dumps(index))
