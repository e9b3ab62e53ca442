"""The child that makes canonical Parquet: `python -m slm_datasets.child.process`."""

from pathlib import Path
from typing import Any

from slm_datasets.analysis.splitting import make_split
from slm_datasets.child.canonical import make_canonical
from slm_datasets.child.serving import serve
from slm_datasets.formats.reading import OnProgress, Reading


def process(task: dict[str, Any], tell: OnProgress) -> dict[str, Any]:
    """Make the canonical Parquet of an uploaded file."""
    return make_canonical(Path(task["source"]), Path(task["target"]), Reading(**task["reading"]), on_progress=tell)


def split(task: dict[str, Any], tell: OnProgress) -> dict[str, Any]:
    """Make the canonical Parquet of one split of another dataset."""
    how = task["derived"]
    return make_split(
        Path(task["source"]),
        Path(task["target"]),
        split=how["part"],
        seed=how["seed"],
        fraction=how["fraction"],
        mapping=task["mapping"],
        tell=tell,
    )


if __name__ == "__main__":
    serve({"process": process, "split": split})
