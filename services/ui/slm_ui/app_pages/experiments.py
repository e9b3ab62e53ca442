"""Experiments: every training, newest first."""

from typing import Any

import streamlit as st

from slm_client.models import Experiment, Page
from slm_ui import api
from slm_ui.components import panels, story, tables
from slm_ui.components.address import put
from slm_ui.components.listing import Listing
from slm_ui.components.live import current, live
from slm_ui.navigation import go, href
from slm_ui.settings import settings

STATUSES = ("draft", "queued", "running", "paused", "completed", "failed", "cancelled")
PICK = "pick"
MAX_PICKED = 8


def main() -> None:
    """The page."""
    panels.head_of_work("Experiments", "One experiment is one training. Choose two or more to compare them.")
    listing = Listing("experiments")
    search, status = st.columns([3, 1])
    with search:
        q = listing.search("Search by name")
    with status:
        wanted = listing.choice("Status", "status", STATUSES)
    # A link may have narrowed the list to a dataset or a base model.
    narrowed = {name: st.query_params[name] for name in ("dataset_id", "base_model_id") if name in st.query_params}
    filters: dict[str, Any] = {"status": wanted, "q": q, **narrowed}
    with st.spinner("Loading experiments"):
        page = api.client().experiments.list(**filters, **listing.place)
    is_moving = any(map(story.is_moving, page.items))
    every = settings().refresh_s if is_moving else settings().idle_refresh_s
    live(_list, every=every)(listing, page, filters)


def _list(listing: Listing, first: Page[Experiment], filters: dict[str, Any]) -> None:
    """The table; looks again while something on it moves."""
    page = current("experiments:shown", first, lambda: api.client().experiments.list(**filters, **listing.place))
    if any(map(story.is_moving, page.items)) != any(map(story.is_moving, first.items)):
        st.rerun(scope="app")
    if page.items:
        picked = [name for name in st.query_params.get(PICK, "").split(",") if name]
        columns = tables.EXPERIMENT_COLUMNS
        listing.show(page, tables.experiment_row, columns=columns, label="Experiments",
                     selectable=True, picked=picked, pick=_pick)  # fmt: skip
        _compare(picked)
    elif listing.is_filtered:
        panels.empty("Nothing matches", "Try another search or fewer filters.", key="experiments:none")
    else:
        text = "Choose a base model and a dataset, and the first one appears here."
        panels.empty("No experiments yet", text, key="experiments:empty", action=("Train a model", "train"))


def _pick(chosen: list[str]) -> None:
    put({PICK: ",".join(chosen[-MAX_PICKED:])})


def _compare(picked: list[str]) -> None:
    if picked:
        label = f"Compare {len(picked)}" if len(picked) > 1 else "Compare (choose one more)"
        if st.button(label, disabled=len(picked) < 2, icon=":material/compare_arrows:", key="compare"):
            go(href("compare", ids=",".join(picked)))


main()
