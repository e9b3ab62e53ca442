"""Training runs: what was asked for, newest first."""

from typing import Any

import streamlit as st

from slm_client.models import Run
from slm_ui import api
from slm_ui.components import cells, panels
from slm_ui.components.listing import Listing

STATUSES = ("draft", "queued", "running", "paused", "completed", "failed", "cancelled")
COLUMNS = (
    cells.column("Run", sort="name"),
    "State",
    "Base model",
    "Training data",
    "Evaluation data",
    "Experiment",
    cells.column("Created", sort="created_at"),
)


def main() -> None:
    """The page."""
    panels.head_of_work("Training runs", "A run is a request to train. Its experiment shows how it goes.")
    listing = Listing("runs")
    search, status = st.columns([3, 1])
    with search:
        q = listing.search("Search by name")
    with status:
        wanted = listing.choice("Status", "status", STATUSES)
    with st.spinner("Loading runs"):
        page = api.client().runs.list(status=wanted, q=q, **listing.place)
    if page.items:
        listing.show(page, _row, columns=COLUMNS, label="Training runs")
    elif listing.is_filtered:
        panels.empty("Nothing matches", "Try another search or fewer filters.", key="runs:none")
    else:
        text = "The wizard asks for a base model, data and a few settings."
        panels.empty("No runs yet", text, key="runs:empty", action=("Train a model", "train"))


def _row(item: Run) -> dict[str, Any]:
    return cells.row(
        item.id,
        cells.link(item.name, "run", id=item.id),
        cells.status(item.state),
        cells.model(item.base_model),
        cells.dataset(item.training_dataset),
        cells.dataset(item.evaluation_dataset),
        cells.short(item.experiment_id, "experiment"),
        cells.moment(item.created_at),
        label=item.name,
    )


main()
