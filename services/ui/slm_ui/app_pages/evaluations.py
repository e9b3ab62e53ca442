"""Evaluations: what every model scores, and any of them side by side."""

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st

from slm_client.models import Evaluation, Page
from slm_ui import api
from slm_ui.components import panels, scores, sections, tables
from slm_ui.components.address import bound, put, value_of
from slm_ui.components.listing import Listing
from slm_ui.components.live import current, live
from slm_ui.components.picker import MAX_SHOWN, pick
from slm_ui.settings import settings

STATUSES = ("queued", "running", "completed", "failed", "cancelled")
PICK = "pick"
MAX_PICKED = 6
FILTERS = ("experiment_id", "model_id", "dataset_id")
DAYS = {"since": "From day", "until": "To day"}


def main() -> None:
    """The page."""
    panels.head("Evaluations", text="A model measured on a dataset. Choose two or more to see them side by side.")
    listing = Listing("evaluations")
    is_narrowed = any(name in st.query_params for name in (*FILTERS, *DAYS))
    sections.fold("Select by experiment, model, dataset or date", partial(_selector, listing),
                  icon=":material/filter_list:", key="evaluations:selector", is_open=is_narrowed)  # fmt: skip
    place, _ = st.columns([1, 3])
    with place:
        status = listing.choice("Status", "status", STATUSES)
    chosen: dict[str, Any] = {name: st.query_params[name] for name in FILTERS if st.query_params.get(name)}
    chosen |= {"status": status, **_between()}
    with st.spinner("Loading evaluations"):
        page = api.client().evaluations.list(**chosen, **listing.place)
    is_moving = any(not item.is_finished for item in page.items)
    every = settings().refresh_s if is_moving else settings().idle_refresh_s
    live(_list, every=every)(listing, page, chosen)


def _selector(listing: Listing) -> None:
    """By experiment, model, dataset, and the days on which they were asked for."""
    client = api.client()
    first, second, third = st.columns(3)
    with first:
        pick("Experiment", "experiment_id", required=False, then=listing.restart,
             find=lambda q: client.experiments.list(q=q, limit=MAX_SHOWN).items, get=client.experiments.get,
             describe=lambda item: f"{item.name} · {item.status}")  # fmt: skip
    with second:
        pick("Model", "model_id", required=False, then=listing.restart,
             find=lambda q: client.models.list(q=q, limit=MAX_SHOWN).items, get=client.models.get,
             describe=lambda item: item.name)  # fmt: skip
    with third:
        pick("Evaluation dataset", "dataset_id", required=False, then=listing.restart,
             find=lambda q: client.datasets.list(q=q, usage="evaluation", limit=MAX_SHOWN).items,
             get=client.datasets.get, describe=lambda item: item.name)  # fmt: skip
    for name, place in zip(DAYS, st.columns(3), strict=False):
        place.date_input(DAYS[name], format="YYYY-MM-DD", **bound(name, read=date.fromisoformat, then=listing.restart))
    days = [value_of(name, read=date.fromisoformat) for name in DAYS]
    if all(days) and days[0] > days[1]:
        st.caption(":red[The first day comes after the last: nothing lies between them.]")


def _between() -> dict[str, str]:
    """From the beginning of the first day to the end of the last, by the reader's own clock."""
    first, last = (value_of(name, read=date.fromisoformat) for name in DAYS)
    zone = _zone()
    times = {
        "since": first and datetime.combine(first, time(), zone),
        "until": last and datetime.combine(last + timedelta(days=1), time(), zone),
    }
    return {name: at.isoformat() for name, at in times.items() if at}


def _zone() -> tzinfo:
    try:
        return ZoneInfo(st.context.timezone or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


def _list(listing: Listing, first: Page[Evaluation], filters: dict[str, Any]) -> None:
    """The table; looks again while something on it moves."""
    page = current("evaluations:shown", first, lambda: api.client().evaluations.list(**filters, **listing.place))
    if all(item.is_finished for item in page.items) != all(item.is_finished for item in first.items):
        st.rerun(scope="app")
    if page.items:
        picked = [name for name in st.query_params.get(PICK, "").split(",") if name]
        listing.show(page, tables.evaluation_row, columns=tables.EVALUATION_COLUMNS, label="Evaluations",
                     selectable=True, picked=picked, pick=_pick)  # fmt: skip
        _compare(page, picked)
    elif listing.is_filtered:
        panels.empty("Nothing matches", "Try another selection.", key="evaluations:none")
    else:
        text = "A model trained with evaluation data is scored by itself, and so is its base."
        panels.empty("No evaluations yet", text, key="evaluations:empty", action=("Train a model", "train"))


def _pick(chosen: list[str]) -> None:
    put({PICK: ",".join(chosen[-MAX_PICKED:])})


def _compare(page: Page[Evaluation], picked: list[str]) -> None:
    if len(picked) < 2:
        return
    here = {item.id: item for item in page.items}
    chosen = [here.get(name) or api.client().evaluations.get(name) for name in picked[:MAX_PICKED]]
    # The earliest first: what came later is what changed.
    chosen.sort(key=lambda item: item.created_at.timestamp() if item.created_at else 0)
    st.subheader("Side by side", anchor=False)
    scores.compared([(f"{item.model.name} on {item.dataset.name}", item.metrics, item.id) for item in chosen],
                    key="evaluations:compared")  # fmt: skip


main()
