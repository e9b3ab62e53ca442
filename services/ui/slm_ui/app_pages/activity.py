"""Activity: every event of the platform as it happens."""

from typing import Any

import streamlit as st

from slm_client.models import LiveEvent
from slm_ui import api, formatting
from slm_ui.components import cells, panels
from slm_ui.components.address import bound
from slm_ui.components.live import live
from slm_ui.components.view import draw
from slm_ui.settings import settings

SHOWN = 100
KINDS = ("dataset", "run", "experiment", "model", "evaluation")
BAD = ("failed", "regressed")
GOOD = ("completed", "processed", "registered", "promoted")
PAGES = {f"{kind}_id": kind for kind in KINDS}
# Of all the ids of an event, this one tells what it is about.
NAMED_BY = ("name", "run_name", "model_name", "dataset_name")
COLUMNS = ("When", "Event", "What", "Related")


def main() -> None:
    """The page."""
    panels.head("Activity", text="What happens on the platform, newest first. The page updates by itself.")
    kind = st.segmented_control(
        "Kind", KINDS, format_func=str.capitalize, label_visibility="collapsed", **bound("kind", among=KINDS)
    )
    live(_feed, every=settings().refresh_s)(kind)


def _feed(kind: str | None) -> None:
    events = _known()
    shown = [event for event in reversed(events) if kind is None or event.type.split(".")[0] == kind]
    if shown:
        draw(cells.table("Events", COLUMNS, [_row(event) for event in shown[:SHOWN]]), key="activity:table")
    else:
        text = "Uploads, trainings and evaluations appear here as they happen."
        panels.empty("Nothing has happened yet", text, key="activity:none", action=("Upload a dataset", "datasets"))


def _known() -> list[LiveEvent]:
    """The last events: those of the first look, and what came since."""
    client = api.client()
    known: list[LiveEvent] = st.session_state.get("activity:events", [])
    after = known[-1].sequence if known else max(0, client.feed_position() - SHOWN * 2)
    known = [*known, *client.events(after=after, follow=False)][-SHOWN * 2 :]
    st.session_state["activity:events"] = known
    return known


def _row(event: LiveEvent) -> dict[str, Any]:
    ids = {page: str(event.data[name]) for name, page in PAGES.items() if event.data.get(name)}
    subject = event.type.split(".")[0]
    about = ids.pop(subject, None)
    name = next((str(event.data[key]) for key in NAMED_BY if event.data.get(key)), subject)
    what = cells.link(name, subject, id=about) if about and subject in KINDS else name
    also = [cells.link(page, page, id=identity) for page, identity in ids.items()]
    return cells.row(
        str(event.sequence),
        cells.moment(event.time),
        cells.badge(event.type, tone=_tone(event.type)),
        what,
        also or None,
    )


def _tone(name: str) -> str:
    action = formatting.words(name.rpartition(".")[2])
    if action in BAD:
        return "bad"
    return "good" if action in GOOD else "busy" if action in ("started", "launched") else "idle"


main()
