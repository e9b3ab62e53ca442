"""One experiment: what was asked, how it goes, what came of it."""

from collections.abc import Mapping, Sequence
from functools import partial

import streamlit as st

from slm_client.models import Experiment, MetricPoint
from slm_ui import api, formatting
from slm_ui.components import cells, charts, panels, story, tables
from slm_ui.components.confirm import ask
from slm_ui.components.identity import wanted
from slm_ui.components.live import live
from slm_ui.navigation import go, href
from slm_ui.settings import settings

LOG_LINES = 200
LOSSES = ("loss", "eval_loss")
FIRST_OTHER = "tokens_per_s"


def main() -> None:
    """The page."""
    reference = wanted("experiment", "experiments")
    experiment = api.client().experiments.get(reference)
    every = None if experiment.is_finished else settings().refresh_s
    head = st.container()
    actions = st.container()
    live(_live, every=every)(reference, experiment)
    with head:
        live(_head, every=every)(reference, experiment)
    with actions:
        _actions(experiment)
    _asked(experiment)
    if experiment.status == "completed":
        _results(experiment)


def _again(reference: str, first: Experiment, part: str) -> Experiment:
    """The experiment as it is now; the page is made anew once it has ended or changed its status."""
    key = f"experiment:{part}"
    if first.is_finished or st.session_state.get(key) is not first:
        st.session_state[key] = first
        return first
    experiment = api.client().experiments.get(reference)
    if experiment.status != first.status:
        st.rerun(scope="app")
    return experiment


def _head(reference: str, first: Experiment) -> None:
    experiment = _again(reference, first, "head")
    panels.head(
        experiment.name or "Experiment",
        text=experiment.goal,
        crumbs=[cells.link("Experiments", "experiments")],
        badges=[cells.status(experiment.status), *story.state_note(experiment)],
    )
    progress = experiment.progress
    share = tables.share_done(experiment)
    if experiment.status == "queued":
        st.info("Waiting for a free trainer. It starts by itself.", icon=":material/hourglass_empty:")
    elif share is not None and progress is not None:
        rate = f"{progress.tokens_per_s:,.0f} tokens/s" if progress.tokens_per_s else ""
        left = f"{formatting.duration(progress.eta_s)} left" if progress.eta_s is not None else ""
        loss = f"loss {formatting.number(progress.loss)}" if progress.loss is not None else ""
        steps = f"Step {progress.step:,} of {progress.total_steps:,}"
        st.progress(min(1.0, share), text=" · ".join(part for part in (steps, loss, rate, left) if part))
    if experiment.error:
        story.show_failure(experiment.error)


def _actions(experiment: Experiment) -> None:
    row = st.container(horizontal=True)
    if row.button("Train again with changes", icon=":material/content_copy:", key="clone"):
        go(href("train", **story.as_draft(experiment)))
    if experiment.is_finished:
        return
    is_stopping = experiment.state == "cancelling"
    if row.button("Cancel", icon=":material/stop_circle:", key="cancel", disabled=is_stopping):
        text = "The training stops after its current step. What it has trained so far is not kept."
        do = partial(_cancel, experiment.run_id)
        ask(f"Cancel {formatting.plain(experiment.name)}?", text, verb="Cancel it", do=do)


def _cancel(run_id: str) -> None:
    api.client().runs.cancel(run_id)
    st.toast("Cancelling. The trainer stops after its current step.")


def _live(reference: str, first: Experiment) -> None:
    """What grows while it runs: curves, log, timeline."""
    experiment = _again(reference, first, "live")
    curves, log, timeline = st.tabs(["Curves", "Log", "Timeline"])
    with curves:
        _curves(reference, experiment)
    with log:
        found = api.client().experiments.log(reference, limit=LOG_LINES)
        if found.lines:
            panels.log(found.lines, label="Log of the trainer", key="log")
        else:
            panels.empty("No lines yet", "What the trainer writes appears here.", key="log:none")
    with timeline:
        panels.timeline(story.timeline(experiment), key="timeline")


def _curves(reference: str, experiment: Experiment) -> None:
    series = api.client().experiments.metrics(reference).series
    losses: Mapping[str, Sequence[MetricPoint]] = {name: series[name] for name in LOSSES if series.get(name)}
    if not any(series.values()):
        text = "Nothing was measured." if experiment.is_finished else "Curves begin with the first training steps."
        panels.empty("No measurements yet", text, key="curves:none")
        return
    left, right = st.columns(2)
    with left:
        is_log = st.toggle("Logarithmic loss", key="curves:log")
        if losses:
            unit = charts.unit_of("loss")
            charts.lines(losses, unit=unit, alt="Training and evaluation loss by optimiser step", is_log=is_log)
    others = sorted(name for name, points in series.items() if points and name not in LOSSES)
    with right:
        if others:
            name = st.selectbox(
                "Other measurements", others, key="curves:other", label_visibility="collapsed",
                index=others.index(FIRST_OTHER) if FIRST_OTHER in others else 0, format_func=formatting.words,
            )  # fmt: skip
            charts.lines({name: series[name]}, unit=charts.unit_of(name), alt=f"{formatting.words(name)} by step")


def _asked(experiment: Experiment) -> None:
    st.subheader("What was asked", anchor=False)
    panels.facts(
        [
            ("Base model", cells.model(experiment.base_model)),
            ("Training data", cells.dataset(experiment.training_dataset)),
            ("Evaluation data", cells.dataset(experiment.evaluation_dataset)),
            ("Run", cells.short(experiment.run_id, "run")),
            *((formatting.words(name).capitalize(), formatting.as_text(value))
              for name, value in story.asked_for(experiment.config).items()),
            ("Id", cells.mono(experiment.id)),
        ],
        key="asked",
    )  # fmt: skip


def _results(experiment: Experiment) -> None:
    st.subheader("What came of it", anchor=False)
    client = api.client()
    models = client.models.list(experiment_id=experiment.id, limit=1)
    evaluations = client.evaluations.list(experiment_id=experiment.id, limit=10)
    made = models.items[0] if models.items else None
    panels.facts(
        [
            ("Model", cells.link(made.name, "model", id=made.id) if made else "being registered"),
            ("Training loss", formatting.number(experiment.train_loss)),
            ("Evaluation loss", formatting.number(experiment.eval_loss)),
            ("Steps", formatting.count(experiment.steps)),
            ("Training took", formatting.duration(experiment.duration_s)),
        ],
        key="results",
    )
    if evaluations.items:
        tables.evaluations(evaluations.items, key="results:evaluations")
    if made is None and st.button("Look again", icon=":material/refresh:", key="look"):
        st.rerun()


main()
