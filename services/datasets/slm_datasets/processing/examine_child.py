"""The child that examines rows: `python -m slm_datasets.processing.examine_child`."""

from pathlib import Path
from typing import Any

from slm_datasets.processing.child import serve
from slm_datasets.processing.comparing import Side, compare
from slm_datasets.processing.quality import examine
from slm_datasets.processing.reading import OnProgress


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
