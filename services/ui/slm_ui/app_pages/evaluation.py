"""One evaluation: its metrics beside those of the base, and what the model answered row by row."""

from functools import partial
from typing import Any

import streamlit as st

from slm_client import SlmError
from slm_client.models import Evaluation, Sample
from slm_ui import api, downloads, formatting
from slm_ui.components import cells, charts, panels, scores, sections, story
from slm_ui.components.confirm import ask
from slm_ui.components.identity import wanted
from slm_ui.components.live import live
from slm_ui.components.states import saved
from slm_ui.settings import settings

ROWS = 10
ORDERS = {"-loss": "Worst first", "loss": "Best first", "row": "As in the dataset"}
KINDS = {False: "Only those that differ", True: "Only exact ones"}


def main() -> None:
    """The page."""
    reference = wanted("evaluation", "evaluations")
    first = api.client().evaluations.get(reference)
    live(_top, every=None if first.is_finished else settings().refresh_s)(reference, first)
    _steer(first)
    if first.error:
        story.show_failure(first.error)
    if first.status != "completed":
        return
    parts = {"Metrics": _metrics, "Answers": _answers, "Training": _training, "Details": _about}
    sections.show({name: partial(part, first) for name, part in parts.items()})


def _steer(evaluation: Evaluation) -> None:
    evaluations = api.client().evaluations
    if not evaluation.is_finished:
        if st.button("Cancel", icon=":material/stop_circle:", key="cancel", disabled=evaluation.cancel_requested):
            text = "It stops within seconds. Nothing of what was measured so far is kept."
            ask("Cancel this evaluation?", text, verb="Cancel it", do=partial(evaluations.cancel, evaluation.id))
    elif evaluation.status in ("failed", "cancelled") and st.button("Try again", icon=":material/replay:", key="again"):
        with saved("It was not queued again"):
            evaluations.retry(evaluation.id)
        st.rerun()


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
    """The metrics beside those of the base, with how sure the difference is."""
    base = None
    if evaluation.baseline_evaluation_id:
        base = api.if_there(lambda client: client.evaluations.get(evaluation.baseline_evaluation_id))
    if base is not None and base.status == "completed":
        _beside_base(base, evaluation)
        return
    if base is not None:
        st.caption(f"The base, {formatting.plain(base.model.name)}, was not measured: it is {base.status}.")
    scores.compared([(evaluation.model.name, evaluation.metrics, evaluation.id)], key="metrics")


def _beside_base(base: Evaluation, evaluation: Evaluation) -> None:
    """With intervals where the answers to single rows were kept, else the numbers alone."""
    try:
        comparison = api.client().evaluations.compare(base.id, evaluation.id)
    except SlmError as error:
        if api.is_away(error):
            raise
        st.caption(f"Without intervals: {formatting.plain(error.message)}")
        columns = [(f"{base.model.name} (base)", base.metrics, base.id)]
        scores.compared([*columns, (evaluation.model.name, evaluation.metrics, evaluation.id)], key="metrics")
    else:
        scores.with_intervals(comparison, key="metrics")


def _answers(evaluation: Evaluation) -> None:
    """What the model answered, the worst first unless told otherwise."""
    left, right = st.columns([2, 1], vertical_alignment="center")
    order = left.segmented_control("Order", list(ORDERS), default="-loss", required=True, key="answers:order",
                                   format_func=ORDERS.__getitem__, label_visibility="collapsed")  # fmt: skip
    only = right.selectbox("Show", list(KINDS), index=None, key="answers:exact", placeholder="All answers",
                           format_func=KINDS.__getitem__, label_visibility="collapsed")  # fmt: skip
    place = f"answers:page:{order}:{only}"
    number = st.session_state.get(place, 1)
    found = api.client().evaluations.predictions(
        evaluation.id, sort=order, exact=only, offset=(number - 1) * ROWS, limit=ROWS
    )
    panels.samples([_sample(sample) for sample in found.items], key="answers")
    pages = -(-found.total // ROWS)
    if pages > 1:
        st.pagination(pages, key=place)
    st.caption(f"{found.total:,} answers")
    saving = {"text": "Download all as JSON lines", "href": downloads.predictions_url(evaluation.id), "download": True}
    panels.strip([saving], key="answers:download")


def _sample(sample: Sample) -> dict[str, Any]:
    row = "" if sample.row is None else f"row {sample.row + 1:,}"
    loss = "" if sample.loss is None else f"loss {formatting.number(sample.loss)}"
    others = [f"{formatting.words(name)} {scores.value_of(name, value)}" for name, value in sample.scores.items()]
    return {
        "verdict": "exact" if sample.exact else "differs",
        "tone": "good" if sample.exact else "warn",
        "note": " · ".join(part for part in (row, loss, *others) if part),
        "fields": [["Asked", sample.prompt], ["Expected", sample.expected or ""], ["Answered", sample.generated]],
    }


def _training(evaluation: Evaluation) -> None:
    """How the model was trained: its loss curves beside the numbers."""
    found = api.if_there(lambda client: client.evaluations.curves(evaluation.id)) if evaluation.experiment_id else None
    if found is None:
        panels.empty("Not trained here", "A base model has no training of its own to show.", key="training:none")
        return
    # In the order, and so the colours, of an experiment's own page.
    names = sorted((name for name in found.series if "loss" in name), key=lambda name: (name != "loss", name))
    series = {name: found.series[name] for name in names if found.series[name]}
    if series:
        charts.lines(series, unit=charts.unit_of("loss"), alt="Loss in training by optimiser step")
    panels.facts(
        [
            ("Experiment", cells.short(found.experiment_id, "experiment")),
            *((formatting.words(name).capitalize(), _statistic(name, value))
              for name, value in story.asked_for(found.statistics).items()),
        ],
        key="training",
    )  # fmt: skip


def _statistic(name: str, value: Any) -> cells.Cell:
    return {"time": value} if name.endswith("_at") and isinstance(value, str) else formatting.as_text(value)


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
            *(
                (formatting.words(name).capitalize(), formatting.as_text(value))
                for name, value in evaluation.settings.items()
                if value is not None
            ),
            ("Asked for by", evaluation.owner),
            ("Id", cells.mono(evaluation.id)),
        ],
        key="about",
    )


main()
