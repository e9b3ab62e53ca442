"""Datasets: bring one, find one."""

from typing import Any

import streamlit as st

from slm_client.models import Dataset
from slm_ui import api, downloads, formatting
from slm_ui.components import cells, panels, upload_form
from slm_ui.components.listing import Listing

USAGES = ("training", "evaluation")
STATUSES = ("in_progress", "processed", "error")
COLUMNS = (
    cells.column("Name", sort="name"),
    "Usage",
    "Status",
    cells.column("Rows", sort="rows", align="right"),
    "Format",
    cells.column("Size", sort="size_bytes", align="right"),
    cells.column("Added", sort="created_at"),
    cells.column("File", align="right"),
)


def main() -> None:
    """The page."""
    panels.head("Datasets", text="Training and evaluation data. Each upload under a name becomes its next version.")
    listing = Listing("datasets")
    form = st.container()
    search, usage, status = st.columns([2, 1, 1])
    with search:
        q = listing.search("Search by name")
    with usage:
        wanted_usage = listing.choice("Usage", "usage", USAGES)
    with status:
        wanted_status = listing.choice("Status", "status", STATUSES)
    with st.spinner("Loading datasets"):
        page = api.client().datasets.list(usage=wanted_usage, status=wanted_status, q=q, **listing.place)
    is_new = not page.items and not listing.is_filtered
    with form:
        upload_form.show(is_open=is_new)
    if page.items:
        listing.show(page, _row, columns=COLUMNS, label="Datasets")
    elif is_new:
        panels.empty("No datasets yet", "Upload a CSV, JSON, JSONL or Parquet file above.", key="datasets:empty")
    else:
        panels.empty("Nothing matches", "Try another search or fewer filters.", key="datasets:none")


def _row(item: Dataset) -> dict[str, Any]:
    return cells.row(
        item.id,
        cells.link(item.name, "dataset", id=item.id),
        formatting.words(item.usage),
        cells.status(item.status, sub=item.error.code.replace("_", " ") if item.error else None),
        formatting.count(item.rows),
        item.row_format or item.format,
        formatting.size(item.size_bytes),
        cells.moment(item.created_at),
        {"text": "Download", "href": downloads.dataset_url(item.id, file_format="raw"), "download": True},
        label=item.name,
    )


main()
