"""Home: the platform at a glance, and the way to a first model."""

import streamlit as st

from slm_client.models import Count, Overview
from slm_ui import api
from slm_ui.components import panels, tables
from slm_ui.components.live import current, live
from slm_ui.navigation import href
from slm_ui.settings import settings

UNKNOWN = "unavailable"


def main() -> None:
    """The page."""
    panels.head_of_work("Home", "Upload data, train a small model, see how well it does.")
    overview = api.client().overview()
    is_busy = bool(overview.running)
    live(_live, every=settings().refresh_s if is_busy else settings().idle_refresh_s)(overview, is_busy)


def _live(first: Overview, was_busy: bool) -> None:
    """What changes while something runs."""
    overview = current("home:shown", first, api.client().overview)
    if was_busy != bool(overview.running):
        st.rerun(scope="app")
    if overview.unavailable:
        st.warning(f"Not answering at the moment: {', '.join(overview.unavailable)}.", icon=":material/cloud_off:")
    running = len(overview.running)
    panels.cards(
        [
            {"label": "Datasets", "href": href("datasets"), **_counted(overview.datasets)},
            {"label": "Models", "href": href("models"), **_counted(overview.models)},
            {"label": "Experiments", "href": href("experiments"), **_counted(overview.experiments)},
            {"label": "Running now", "href": href("experiments", status="running"), **_running(overview, running)},
        ],
        key="home:cards",
    )
    st.subheader("Recent experiments", anchor=False)
    recent = list(overview.recent_experiments)[:5]
    if recent:
        tables.experiments(recent, key="home:recent")
    elif "training" not in overview.unavailable:
        _first_steps(overview)


def _counted(count: Count | None) -> dict[str, str]:
    if count is None:
        return {"value": UNKNOWN}
    told = [f"{number:,} {status.replace('_', ' ')}" for status, number in sorted(count.by_status.items()) if number]
    return {"value": f"{count.total:,}{'' if count.is_exact else '+'}", "sub": " · ".join(told)}


def _running(overview: Overview, running: int) -> dict[str, str]:
    return {"value": UNKNOWN if overview.experiments is None else str(running)}


def _first_steps(overview: Overview) -> None:
    has_data = overview.datasets is not None and overview.datasets.total > 0
    if has_data:
        text = "Your data is here. The next step is to train a model on it."
        panels.empty("No experiments yet", text, key="home:first", action=("Train a model", "train"))
    else:
        text = "Start with data: a CSV, JSON, JSONL or Parquet file with questions and answers, or plain text."
        panels.empty("No experiments yet", text, key="home:first", action=("Upload a dataset", "datasets"))


main()
