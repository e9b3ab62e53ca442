"""The story of an experiment: what was asked, what happened when, and why it ended as it did."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from slm_client.models import Attempt, Experiment, Problem
from slm_ui import formatting
from slm_ui.components import cells

LORA = "lora"
BLAME = {
    "user": "Something in the data or the settings has to be changed.",
    "system": "This is the platform's own fault.",
    "infra": "The machine or a service it needs was at fault, not your data.",
}


def state_note(experiment: Experiment) -> Sequence[cells.Cell]:
    """The run's own state where it says more than the status."""
    same = {"queued", "running", "succeeded", "failed", "cancelled", None}
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
    """What happened, oldest first."""
    events = [_event("Queued", experiment.created_at)]
    for attempt in experiment.attempts:
        events.extend(_attempt(attempt))
    if not experiment.attempts and experiment.started_at:
        events.append(_event("Started", experiment.started_at, "busy"))
    if experiment.is_finished:
        tone = cells.tone_of(experiment.status)
        events.append(_event(experiment.status.capitalize(), experiment.completed_at, tone))
    elif experiment.state == "cancelling":
        events.append(_event("Cancelling", None, "warn", "The trainer stops after its current step."))
    return events


def _attempt(attempt: Attempt) -> list[dict[str, Any]]:
    from_step = f", going on from step {attempt.resumed_from_step:,}" if attempt.resumed_from_step else ""
    begun = _event(
        f"Attempt {attempt.number} on {attempt.worker}", attempt.started_at or attempt.claimed_at, "busy",
        f"{'Started' if attempt.started_at else 'Claimed'}{from_step}.",
    )  # fmt: skip
    if attempt.outcome is None:
        return [begun]
    lost = f" {attempt.lost_steps:,} steps have to be made again." if attempt.lost_steps else ""
    reason = f" ({formatting.words(attempt.code)})" if attempt.code else ""
    detail = f"Came to step {attempt.last_step:,}.{lost}"
    title = f"Attempt {attempt.number} {formatting.words(attempt.outcome)}{reason}"
    return [begun, _event(title, attempt.ended_at, cells.tone_of(attempt.outcome), detail)]


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
