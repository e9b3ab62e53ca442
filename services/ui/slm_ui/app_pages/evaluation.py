"""One evaluation: its metrics beside those of the base, and what the model answered row by row."""

from typing import Any

import streamlit as st

from slm_client.models import Evaluation, Sample
from slm_ui import api, formatting
from slm_ui.components import cells, charts, panels, scores, story
from slm_ui.components.identity import wanted
from slm_ui.components.live import live
from slm_ui.settings import settings

ROWS = 10
LOSSES = ("loss", "eval_loss")


def main() -> None:
    """The page."""
    reference = wanted("evaluation", "evaluations")
    first = api.client().evaluations.get(reference)
    live(_top, every=None if first.is_finished else settings().refresh_s)(reference, first)
    if first.error:
        story.show_failure(first.error)
    if first.status != "completed":
        return
    metrics, answers, training, about = st.tabs(["Metrics", "Answers", "Training", "Details"])
    with metrics:
        _metrics(first)
    with answers:
        _answers(first)
    with training:
        _training(first)
    with about:
        _about(first)


def _top(reference: str, first: Evaluation) -> None:
    evaluation = first if first.is_finished else api.client().evaluations.get(reference)
    if evaluation.status != first.status:
        st.rerun(scope="app")
    panels.head(
        f"{evaluation.model.name} on {evaluation.dataset.name}",
        crumbs=[cells.link("Evaluations", "evaluations")],
        badges=[cells.status(evaluation.status)],
    )
    panels.strip(
        ["Model", cells.model(evaluation.model), "Dataset", cells.dataset(evaluation.dataset)], key="evaluation:about"
    )
    if not evaluation.is_finished:
        share = evaluation.progress or 0.0
        st.progress(min(1.0, share), text=f"{evaluation.status.capitalize()} · {share:.0%} of the rows")


def _metrics(evaluation: Evaluation) -> None:
    base = None
    if evaluation.baseline_evaluation_id:
        base = api.if_there(lambda client: client.evaluations.get(evaluation.baseline_evaluation_id))
    own = (evaluation.model.name, evaluation.metrics, evaluation.id)
    if base is None:
        scores.compared([own], key="metrics")
    elif base.status != "completed":
        st.caption(f"The base, {formatting.plain(base.model.name)}, is still being measured.")
        scores.compared([own], key="metrics")
    else:
        scores.compared([(f"{base.model.name} (base)", base.metrics, base.id), own], key="metrics")


def _answers(evaluation: Evaluation) -> None:
    total = evaluation.rows or 0
    pages = max(1, -(-total // ROWS))
    number = st.pagination(pages, key="answers:page") if pages > 1 else 1
    found = api.client().evaluations.predictions(evaluation.id, offset=(number - 1) * ROWS, limit=ROWS)
    panels.samples(
        [_sample(sample, found.offset + index) for index, sample in enumerate(found.items, start=1)], key="answers"
    )
    st.caption(f"Rows {found.offset + 1:,} to {found.offset + len(found.items):,} of {found.total:,}")


def _sample(sample: Sample, number: int) -> dict[str, Any]:
    return {
        "verdict": "exact" if sample.exact else "differs",
        "tone": "good" if sample.exact else "warn",
        "note": f"Row {number:,}",
        "fields": [["Asked", sample.prompt], ["Expected", sample.expected or ""], ["Answered", sample.generated]],
    }


def _training(evaluation: Evaluation) -> None:
    """How the model was trained: its curves beside its numbers."""
    identity = (evaluation.model_extra or {}).get("experiment_id")
    experiment = api.if_there(lambda client: client.experiments.get(identity)) if identity else None
    if experiment is None:
        panels.empty("Not trained here", "A base model has no training of its own to show.", key="training:none")
        return
    series = api.client().experiments.metrics(experiment.id).series
    losses = {name: series[name] for name in LOSSES if series.get(name)}
    if losses:
        charts.lines(losses, unit=charts.unit_of("loss"), alt="Loss in training by optimiser step")
    panels.facts(
        [
            ("Experiment", cells.link(experiment.name or "experiment", "experiment", id=experiment.id)),
            ("Steps", formatting.count(experiment.steps)),
            ("Training loss", formatting.number(experiment.train_loss)),
            ("Evaluation loss", formatting.number(experiment.eval_loss)),
            ("Took", formatting.duration(experiment.duration_s)),
            *((formatting.words(name).capitalize(), formatting.as_text(value))
              for name, value in story.asked_for(experiment.config).items()),
        ],
        key="training",
    )  # fmt: skip


def _about(evaluation: Evaluation) -> None:
    took = formatting.between(evaluation.started_at, evaluation.completed_at)
    panels.facts(
        [
            ("Rows", formatting.count(evaluation.rows)),
            ("Created", cells.moment(evaluation.created_at)),
            ("Started", cells.moment(evaluation.started_at)),
            ("Completed", cells.moment(evaluation.completed_at)),
            ("Took", formatting.duration(took)),
            ("Base evaluation", cells.short(evaluation.baseline_evaluation_id, "evaluation")),
            ("Id", cells.mono(evaluation.id)),
        ],
        key="about",
    )


main()
