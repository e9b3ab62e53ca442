"""One experiment: what was asked, how it goes, what came of it."""

from collections.abc import Mapping, Sequence
from functools import partial

import streamlit as st

from slm_client.models import Experiment, MetricPoint, Run
from slm_ui import api, formatting
from slm_ui.components import cells, charts, panels, sections, steering, story, tables
from slm_ui.components.identity import wanted
from slm_ui.components.live import current, live
from slm_ui.components.view import draw
from slm_ui.settings import settings

LOG_LINES = 200
LOSSES = ("loss", "eval_loss")
LEVELS = ("info", "warning", "error")
MAX_POINTS = 1000
FIRST_OTHER = "tokens_per_s"


def main() -> None:
    """The page."""
    reference = wanted("experiment", "experiments")
    experiment = api.client().experiments.get(reference)
    every = settings().refresh_s if story.is_moving(experiment) else None
    live(_head, every=every)(reference, experiment)
    steering.show(experiment)
    live(_live, every=every)(reference, experiment)
    _asked(experiment)
    if experiment.status == "completed":
        _results(experiment)


def _again(reference: str, first: Experiment, part: str) -> Experiment:
    """The experiment as it is now; the page is made anew once it has ended or changed its status."""
    if not story.is_moving(first):
        return first
    experiment = current(f"experiment:{part}", first, lambda: api.client().experiments.get(reference))
    if (experiment.status, experiment.state) != (first.status, first.state):
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
        _queue(experiment)
    elif share is not None and progress is not None:
        rate = f"{progress.tokens_per_s:,.0f} tokens/s" if progress.tokens_per_s else ""
        left = f"{formatting.duration(progress.eta_s)} left" if progress.eta_s is not None else ""
        loss = f"loss {formatting.number(progress.loss)}" if progress.loss is not None else ""
        steps = f"Step {progress.step:,} of {progress.total_steps:,}"
        st.progress(min(1.0, share), text=" · ".join(part for part in (steps, loss, rate, left) if part))
    if experiment.error:
        story.show_failure(experiment.error)


def _queue(experiment: Experiment) -> None:
    """Its place in the queue and what it waits for."""
    place = api.client().runs.get(experiment.run_id).queue
    if place is None:
        st.info("A trainer is about to begin.", icon=":material/hourglass_top:")
        return
    next_up = "Next in the queue" if place.position == 1 else f"Number {place.position:,} in the queue"
    reason = f": {formatting.plain(place.reason)}" if place.reason else ""
    st.info(f"{next_up}{reason}", icon=":material/hourglass_top:")


def _live(reference: str, first: Experiment) -> None:
    """What grows while it runs: curves, log, timeline."""
    experiment = _again(reference, first, "live")
    sections.tabs(
        {
            "Curves": partial(_curves, reference, experiment),
            "Log": partial(_log, reference),
            "Timeline": lambda: panels.timeline(story.timeline(experiment), key="timeline"),
            "Checkpoints": partial(_checkpoints, reference),
        }
    )


def _log(reference: str) -> None:
    search, level = st.columns([3, 1])
    q = search.text_input("Search the log", key="log:q", placeholder="Search the log", icon=":material/search:",
                          label_visibility="collapsed", max_chars=100)  # fmt: skip
    chosen = level.selectbox("Level", LEVELS, index=None, key="log:level", placeholder="Level: all",
                             label_visibility="collapsed")  # fmt: skip
    levels = [chosen] if chosen else []
    found = api.client().experiments.log(reference, limit=LOG_LINES, levels=levels, q=q.strip() or None)
    if found.lines:
        panels.log(found.lines, label="Log of the trainer", key="log")
    elif q or chosen:
        panels.empty("Nothing matches", "Try another search.", key="log:nothing")
    else:
        panels.empty("No lines yet", "What the trainer writes appears here.", key="log:none")


def _checkpoints(reference: str) -> None:
    found = api.client().experiments.checkpoints(reference).items
    if not found:
        text = "From a checkpoint a training goes on after an interruption. They are cleared once it has ended."
        panels.empty("No checkpoints", text, key="checkpoints:none")
        return
    names = sorted({name for each in found for name in each.metrics})
    measured = [cells.column(formatting.words(name), align="right") for name in names]
    head = [cells.column("Step", align="right"), *measured, cells.column("Size", align="right"), "Created"]
    rows = [
        cells.row(
            str(each.step),
            formatting.count(each.step),
            *(formatting.number(each.metrics.get(name)) for name in names),
            formatting.size(each.size_bytes),
            cells.moment(each.created_at),
        )
        for each in found
    ]
    draw(cells.table("Checkpoints", head, rows), key="checkpoints")


def _curves(reference: str, experiment: Experiment) -> None:
    series = api.client().experiments.metrics(reference, points=MAX_POINTS).series
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
    st.subheader("Settings", anchor=False)
    panels.facts(
        [
            ("Base model", cells.model(experiment.base_model)),
            ("Training data", cells.dataset(experiment.training_dataset)),
            ("Evaluation data", cells.dataset(experiment.evaluation_dataset)),
            ("Run", cells.short(experiment.run_id, "run")),
            ("Owner", experiment.owner),
            ("Tags", ", ".join(experiment.tags) or None),
            *((formatting.words(name).capitalize(), formatting.as_text(value))
              for name, value in story.asked_for(experiment.config).items()),
            ("Id", cells.mono(experiment.id)),
        ],
        key="asked",
    )  # fmt: skip


def _results(experiment: Experiment) -> None:
    st.subheader("Results", anchor=False)
    measured = api.soon(lambda client: client.evaluations.list(experiment_id=experiment.id, limit=10))
    run = api.soon(lambda client: client.runs.get(experiment.run_id))
    models = api.client().models.list(experiment_id=experiment.id, limit=1)
    evaluations = measured.result()
    made = models.items[0] if models.items else None
    panels.facts(
        [
            ("Model", cells.link(made.name, "model", id=made.id) if made else "being registered"),
            ("Training loss", formatting.number(experiment.train_loss)),
            ("Evaluation loss", formatting.number(experiment.eval_loss)),
            ("Steps", formatting.count(experiment.steps)),
            ("Best step", formatting.count(experiment.best_step)),
            ("Trained tokens", formatting.count(experiment.trained_tokens)),
            ("Training took", formatting.duration(experiment.duration_s)),
        ],
        key="results",
    )
    if evaluations.items:
        tables.evaluations(evaluations.items, key="results:evaluations")
    _drift(experiment, run.result())
    if made is None and st.button("Look again", icon=":material/refresh:", key="look"):
        st.rerun()


def _drift(experiment: Experiment, run: Run) -> None:
    """For a reproduction: what came out differently from the original."""
    origin = run.origin
    if origin is None or origin.relation != "reproduction":
        return
    drift = api.client().experiments.drift(experiment.id)
    st.subheader("Compared with the original", anchor=False)
    told = "It is the same to the last bit." if drift.identical else "It differs from the original."
    (st.success if drift.identical else st.warning)(told)
    panels.facts(
        [
            ("Original", cells.short(drift.original_id, "experiment")),
            ("Largest difference in loss", formatting.number(drift.largest_loss_difference)),
        ],
        key="drift",
    )


main()
