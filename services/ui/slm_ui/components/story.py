"""The story of an experiment: what was asked, what happened when, and why it ended as it did."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from slm_client.models import Attempt, Experiment, Problem
from slm_ui import formatting
from slm_ui.components import cells

LORA = "lora"
# What an attempt tells better.
ATTEMPTED = {"leased", "running", "completing"}
BLAME = {
    "user": "Something in the data or the settings has to be changed.",
    "system": "This is the platform's own fault.",
    "infra": "The machine or a service it needs was at fault, not your data.",
}


MOVING = {"queued", "running"}
RESTING = {"queued": "idle", "paused": "warn", "pausing": "warn", "draft": "idle"}


def is_moving(experiment: Experiment) -> bool:
    """Whether it changes without anybody's doing."""
    return experiment.status in MOVING


def state_note(experiment: Experiment) -> Sequence[cells.Cell]:
    """The run's own state where it says more than the status."""
    same = {"draft", "queued", "running", "paused", "succeeded", "failed", "cancelled", None}
    return [] if experiment.state in same else [cells.status(str(experiment.state))]


def asked_for(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that had an effect: what concerns LoRA only where it was used."""
    is_lora = config.get("method") == LORA
    return {
        name: value
        for name, value in config.items()
        if value is not None and (is_lora or not name.startswith("lora_")) and not isinstance(value, dict | list)
    }


def as_draft(experiment: Experiment) -> dict[str, object]:
    """The parameters under which the wizard shows the same settings again."""
    references = {
        "base_model": experiment.base_model,
        "training_dataset": experiment.training_dataset,
        "evaluation_dataset": experiment.evaluation_dataset,
    }
    inputs = {name: reference.id for name, reference in references.items() if reference is not None}
    return {"name": experiment.name, "goal": experiment.goal, **inputs, **asked_for(experiment.config)}


def timeline(experiment: Experiment) -> list[dict[str, Any]]:
    """What happened, oldest first: every state the run came into, and how each attempt went."""
    states = [(each.at, each.state) for each in experiment.timeline if each.state not in ATTEMPTED]
    if not states:
        states = [(experiment.created_at, "queued")]
        states += [(experiment.completed_at, experiment.status)] if experiment.is_finished else []
    events = [(at, _event(formatting.words(state).capitalize(), at, _tone(state))) for at, state in states]
    events += [entry for attempt in experiment.attempts for entry in _attempt(attempt)]
    return [event for _, event in sorted(events, key=lambda entry: entry[0].timestamp() if entry[0] else math.inf)]


def _tone(state: str) -> str:
    return RESTING.get(state) or cells.tone_of(state)


def _attempt(attempt: Attempt) -> list[tuple[Any, dict[str, Any]]]:
    began = attempt.started_at or attempt.claimed_at
    from_step = f", going on from step {attempt.resumed_from_step:,}" if attempt.resumed_from_step else ""
    told = f"{'Started' if attempt.started_at else 'Claimed'}{from_step}."
    events = [(began, _event(f"Attempt {attempt.number} on {attempt.worker}", began, "busy", told))]
    if attempt.outcome is not None:
        lost = f" {attempt.lost_steps:,} steps have to be made again." if attempt.lost_steps else ""
        reason = f" ({formatting.words(attempt.code)})" if attempt.code else ""
        title = f"Attempt {attempt.number} {formatting.words(attempt.outcome)}{reason}"
        detail = f"Came to step {attempt.last_step:,}.{lost}"
        events.append((attempt.ended_at, _event(title, attempt.ended_at, cells.tone_of(attempt.outcome), detail)))
    return events


def _event(title: str, time: Any, tone: str = "idle", detail: str | None = None) -> dict[str, Any]:
    return {"title": title, "time": time.isoformat() if time else None, "tone": tone, "detail": detail}


def show_failure(error: Problem) -> None:
    """Why it failed, whose fault that is, and the last that was written."""
    lines = [formatting.plain(error.message)]
    if error.blame in BLAME:
        lines.append(BLAME[error.blame])
    if error.hint:
        lines.append(formatting.plain(error.hint))
    st.error("\n\n".join(lines), title=formatting.words(error.code).capitalize(), icon=":material/error:")
    tail = error.log_tail if isinstance(error.log_tail, str) else "\n".join(error.log_tail or ())
    if tail.strip():
        with st.expander("The last lines of the trainer"):
            st.code(tail, language=None, wrap_lines=True)
