"""The child process that counts tokens: `python -m slm_datasets.child.tokens`."""

import os
import sys
import traceback
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from slm_datasets.analysis.near import evenly
from slm_datasets.analysis.row_hash import rows_of
from slm_datasets.child.sandbox import confine
from slm_datasets.child.serving import Progress
from slm_ml.encoding import RowFormatError
from slm_ml.token_report import make_token_report
from slm_ml.tokenizer import load_tokenizer
from slm_shared.jobs.child import Parent


def report(job: dict[str, Any], tell: Progress) -> dict[str, Any]:
    """The token report of a canonical Parquet; of very many rows, of some spread evenly. Raises RowFormatError."""
    path = Path(job["source"])
    total = pq.read_metadata(path).num_rows
    step = evenly(total, job["max_rows"])
    counted = -(-total // step)
    tokenizer = load_tokenizer(Path(job["tokenizer"]))

    def on_row(number: int) -> None:
        if number % 200 == 0:
            tell("counting tokens", number, counted)

    rows: Iterator[dict[str, Any]] = islice(rows_of(path), 0, None, step)
    found = make_token_report(
        rows,
        row_format=job["row_format"],
        mapping=job["mapping"],
        tokenizer=tokenizer,
        max_length=job["max_length"],
        on_row=on_row,
    )
    return {**found.as_dict(), "total_rows": total}


def main() -> int:
    """Make one report; the exit status."""
    parent = Parent()
    job = parent.receive()
    confine(cpu_s=int(job["timeout_s"]), memory_bytes=int(job["memory_bytes"]))
    try:
        result = report(job, Progress(parent))
    except RowFormatError as error:
        problem = {"code": "not_trainable", "message": f"No model can be trained on this: {error}."}
        parent.send("problem", problem=problem, problems=None)
        return 0
    except (OSError, ValueError):
        traceback.print_exc()
        problem = {"code": "tokenizer_invalid", "message": "The model's tokenizer cannot be loaded."}
        parent.send("problem", problem=problem, problems=None)
        return 0
    except Exception:  # noqa: BLE001  the edge of the child: its exit status says it, the trace goes to its log
        traceback.print_exc()
        return 1
    parent.send("result", result=result)
    return 0


if __name__ == "__main__":
    status = main()
    sys.stderr.flush()
    os._exit(status)
