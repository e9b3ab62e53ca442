"""The child process that counts tokens: `python -m slm_datasets.child.tokens`."""

import traceback
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from slm_datasets.analysis.near import sampling_step
from slm_datasets.analysis.row_hash import rows_of
from slm_datasets.child.serving import serve
from slm_datasets.formats.problems import FileProblemError
from slm_datasets.formats.reading import OnProgress
from slm_ml.encoding import RowFormatError
from slm_ml.token_report import make_token_report
from slm_ml.tokenizer import load_tokenizer


def tokens(task: dict[str, Any], tell: OnProgress) -> dict[str, Any]:
    """The token report of a canonical Parquet. Raises FileProblemError."""
    try:
        return _report(task, tell)
    except RowFormatError as error:
        raise FileProblemError("not_trainable", f"No model can be trained on this: {error}.") from error
    except (OSError, ValueError) as error:
        traceback.print_exc()
        raise FileProblemError("tokenizer_invalid", "The model's tokenizer cannot be loaded.") from error


def _report(task: dict[str, Any], tell: OnProgress) -> dict[str, Any]:
    """Counts every row; of very many rows, some that are spread evenly."""
    path = Path(task["source"])
    total = pq.read_metadata(path).num_rows
    step = sampling_step(total, task["max_rows"])
    counted = -(-total // step)
    tokenizer = load_tokenizer(Path(task["tokenizer"]))

    def on_row(number: int) -> None:
        if number % 200 == 0:
            tell("counting tokens", number, counted)

    found = make_token_report(
        islice(rows_of(path), 0, None, step),
        row_format=task["row_format"],
        mapping=task["mapping"],
        tokenizer=tokenizer,
        max_length=task["max_length"],
        on_row=on_row,
    )
    return {**found.as_dict(), "total_rows": total}


if __name__ == "__main__":
    serve({"tokens": tokens})
