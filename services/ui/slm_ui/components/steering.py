"""What can be done with a run, depending on where it stands."""

from collections.abc import Callable
from functools import partial

import streamlit as st

from slm_client.models import Experiment, Run
from slm_ui import api
from slm_ui.components import story
from slm_ui.components.confirm import ask
from slm_ui.components.states import saved
from slm_ui.formatting import plain
from slm_ui.navigation import go, href

MIN_PRIORITY, MAX_PRIORITY = -100, 100


def show(experiment: Experiment) -> None:
    """The buttons that make sense now."""
    row = st.container(horizontal=True)
    runs = api.client().runs
    run_id, state = experiment.run_id, experiment.state
    with row:
        if state == "draft":
            _do("Start", ":material/play_arrow:", partial(runs.start, run_id), "Queued")
        if state == "paused":
            _do("Resume", ":material/play_arrow:", partial(runs.resume, run_id), "Queued again")
        if state == "running":
            _do("Pause", ":material/pause:", partial(runs.pause, run_id), "Pausing at the next checkpoint")
        if experiment.status == "queued":
            _priority(run_id)
        if experiment.is_finished:
            _again("Reproduce", ":material/replay:", partial(runs.reproduce, run_id))
        if st.button("Train again with changes", icon=":material/content_copy:", key="clone"):
            go(href("train", **story.as_draft(experiment)))
        if not experiment.is_finished and state != "draft":
            _cancel(experiment)
    _ended()


def _do(label: str, icon: str, act: Callable[[], object], told: str) -> None:
    if st.button(label, icon=icon, key=label.lower()):
        with saved(f"{label} did not work"):
            act()
        st.toast(told)
        st.rerun()


def _again(label: str, icon: str, act: Callable[[], Run]) -> None:
    if st.button(label, icon=icon, key=label.lower(), help="The very same data, settings and seed once more."):
        with saved(f"{label} did not work"):
            made = act()
        go(href("experiment", id=made.experiment_id))


def _cancel(experiment: Experiment) -> None:
    is_stopping = experiment.state in ("cancelling", "completing")
    if st.button("Cancel", icon=":material/stop_circle:", key="cancel", disabled=is_stopping):
        text = "The training stops after its current step. What it has trained so far is not kept."
        do = partial(api.client().runs.cancel, experiment.run_id)
        ask(f"Cancel {plain(experiment.name)}?", text, verb="Cancel it", do=do, told="Cancelling")


def _priority(run_id: str) -> None:
    with st.popover("Priority", icon=":material/low_priority:", help="Runs with a higher one are taken first."):
        chosen = st.number_input("Priority", MIN_PRIORITY, MAX_PRIORITY, api.client().runs.get(run_id).priority,
                                 key="priority:value")  # fmt: skip
        if st.button("Set", key="priority:set"):
            with saved("The priority was not changed"):
                api.client().runs.set_priority(run_id, int(chosen))
            st.rerun()


def _ended() -> None:
    """What a dialog did is told once it is gone."""
    if told := st.session_state.pop("confirm:told", None):
        st.toast(told)
