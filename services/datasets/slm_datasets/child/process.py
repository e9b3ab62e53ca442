"""The child that makes canonical Parquet: `python -m slm_datasets.child.process`."""

from pathlib import Path
from typing import Any

from slm_datasets.analysis.splitting import make_part
from slm_datasets.child.canonical import make_canonical
from slm_datasets.child.serving import serve
from slm_datasets.formats.reading import OnProgress, Reading


def process(job: dict[str, Any], tell: OnProgress) -> dict[str, Any]:
    """Make the canonical Parquet of an uploaded file."""
    return make_canonical(Path(job["source"]), Path(job["target"]), Reading(**job["reading"]), on_progress=tell)


def derive(job: dict[str, Any], tell: OnProgress) -> dict[str, Any]:
    """Make the canonical Parquet of one part of a split."""
    how = job["derived"]
    return make_part(
        Path(job["source"]),
        Path(job["target"]),
        part=how["part"],
        seed=how["seed"],
        fraction=how["fraction"],
        mapping=job["reading"]["mapping"],
        tell=tell,
    )


if __name__ == "__main__":
    serve({"process": process, "derive": derive})
