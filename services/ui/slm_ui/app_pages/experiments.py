"""Experiments: every training, newest first."""

from typing import Any

import streamlit as st

from slm_client.models import Experiment, Page
from slm_ui import api
from slm_ui.components import panels, story, tables
from slm_ui.components.address import put
from slm_ui.components.listing import Listing
from slm_ui.components.live import live
from slm_ui.navigation import go, href
from slm_ui.settings import settings

STATUSES = ("draft", "queued", "running", "paused", "completed", "failed", "cancelled")
PICK = "pick"
MAX_PICKED = 8


def main() -> None:
    """The page."""
    left, right = st.columns([4, 1], vertical_alignment="center")
    with left:
        panels.head("Experiments", text="One experiment is one training. Choose two or more to compare them.")
    if right.button("Train model", type="primary", icon=":material/rocket_launch:", width="stretch"):
        go(href("train"))
    listing = Listing("experiments")
    search, status = st.columns([3, 1])
    with search:
        q = listing.search("Search by name")
    with status:
        wanted = listing.choice("Status", "status", STATUSES)
    with st.spinner("Loading experiments"):
        page = api.client().experiments.list(status=wanted, q=q, **_narrowed(), **listing.place)
    is_moving = any(map(story.is_moving, page.items))
    every = settings().refresh_s if is_moving else settings().idle_refresh_s
    live(_list, every=every)(listing, page, {"status": wanted, "q": q})


def _narrowed() -> dict[str, Any]:
    """The dataset or the base model that a link has narrowed the list to."""
    names = ("dataset_id", "base_model_id")
    return {name: st.query_params[name] for name in names if name in st.query_params}


def _list(listing: Listing, first: Page[Experiment], filters: dict[str, Any]) -> None:
    """The table; looks again while something on it moves."""
    page = first
    if st.session_state.get("experiments:shown") is first:
        page = api.client().experiments.list(**filters, **_narrowed(), **listing.place)
        if any(map(story.is_moving, page.items)) != any(map(story.is_moving, first.items)):
            st.rerun(scope="app")
    st.session_state["experiments:shown"] = first
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
