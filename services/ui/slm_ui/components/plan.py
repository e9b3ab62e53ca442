"""The plan of a run: what it would take, measured before anything is launched."""

from typing import Any

import streamlit as st

from slm_client import SlmError, calls
from slm_client.models import Plan
from slm_ui import api, formatting
from slm_ui.components import cells, panels, story
from slm_ui.components.live import live
from slm_ui.components.states import tell
from slm_ui.components.view import draw
from slm_ui.settings import settings

KEY = "plan"
PLANNING = "planning"


def show(body: dict[str, Any]) -> Plan | None:
    """The plan of these settings, or None when the platform refuses them; asked for anew when they change."""
    known = st.session_state.get(KEY)
    if known is None or known[0] != body:
        try:
            plan = api.client().send(calls.runs.preflight(body, wait_s=0))
        except SlmError as error:
            if api.is_away(error):
                raise
            tell(error, what="This cannot be trained")
            return None
        known = (body, plan)
        st.session_state[KEY] = known
    live(_show, every=settings().refresh_s if known[1].status == PLANNING else None)(known[1])
    found: Plan = st.session_state[KEY][1]
    return found


def _show(first: Plan) -> None:
    plan = first
    if first.status == PLANNING:
        plan = api.client().runs.plan(first.id)
        body = st.session_state[KEY][0]
        if plan.status != PLANNING:
            st.session_state[KEY] = (body, plan)
            st.rerun(scope="app")
        reason = f" {formatting.plain(plan.queue.reason)}" if plan.queue and plan.queue.reason else ""
        st.info(f"Measuring a few steps, to plan memory and time.{reason}", icon=":material/timer:")
    elif plan.error is not None:
        story.show_failure(plan.error)
    else:
        _report(plan.report or {})


def _report(report: dict[str, Any]) -> None:
    tokens, memory, duration = (report.get(name) or {} for name in ("tokens", "memory_gb", "duration_s"))
    for warning in report.get("warnings", ()):
        st.warning(formatting.plain(warning), icon=":material/warning:")
    st.subheader("Plan", anchor=False)
    panels.facts(
        [
            ("Duration", _duration(duration)),
            ("Memory", _memory(memory)),
            ("Steps", formatting.count(report.get("total_steps"))),
            ("Speed", f"{formatting.count(report.get('tokens_per_s'))} tokens/s"),
            ("Rows kept", formatting.count(tokens.get("kept_rows"))),
            ("Rows cut off", formatting.count(tokens.get("truncated_rows"))),
            ("Rows left out", formatting.count(tokens.get("dropped_rows"))),
            ("Trained tokens per epoch", formatting.count(tokens.get("trained_tokens"))),
            ("Longest row", f"{formatting.count(tokens.get('max_row_length'))} tokens"),
            ("Learns when to stop", "yes" if tokens.get("stop_token_trained") else "no"),
        ],
        key="plan:facts",
    )
    chosen = report.get("chosen") or {}
    if chosen:
        head = ["Chosen for this machine", "Value", "Why"]
        rows = [
            cells.row(name, formatting.words(name), formatting.as_text(each.get("value")), each.get("reason"))
            for name, each in chosen.items()
        ]
        draw(cells.table("Chosen", head, rows), key="plan:chosen")


def _duration(found: dict[str, Any]) -> cells.Cell:
    if not found:
        return None
    spread = f"{formatting.duration(found.get('low'))} to {formatting.duration(found.get('high'))}"
    return {"text": formatting.duration(found.get("expected")), "sub": spread}


def _memory(found: dict[str, Any]) -> cells.Cell:
    if not found:
        return None
    expected, high, there = (formatting.number(found.get(name)) for name in ("expected", "high", "available"))
    return {"text": f"{expected} GB", "sub": f"up to {high} GB; {there} GB are free"}
