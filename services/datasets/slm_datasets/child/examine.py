"""The child that examines rows: `python -m slm_datasets.child.examine`."""

from pathlib import Path
from typing import Any

from slm_datasets.analysis.comparing import Side, compare
from slm_datasets.analysis.quality import examine
from slm_datasets.child.serving import serve
from slm_datasets.formats.reading import OnProgress


def quality(job: dict[str, Any], tell: OnProgress) -> dict[str, Any]:
    """Look for duplicates, empty rows, languages and personal data."""
    return examine(
        Path(job["source"]),
        row_format=job["row_format"],
        mapping=job["mapping"],
        personal_data_rows=job["personal_data_rows"],
        tell=tell,
    )


def comparison(job: dict[str, Any], tell: OnProgress) -> dict[str, Any]:
    """Lay two datasets side by side."""
    left, right = Side(Path(job["source"]), job["mapping"]), Side(Path(job["other"]), job["other_mapping"])
    return compare(left, right, tell=tell)


if __name__ == "__main__":
    serve({"quality": quality, "comparison": comparison})
