"""Experiments side by side: what was asked of each, how they went, what came of them."""

from typing import Any

import streamlit as st

from slm_client.models import Comparison, Experiment
from slm_ui import api, formatting
from slm_ui.components import cells, charts, panels, story, tables
from slm_ui.components.view import draw

MAX_COMPARED = 8
CURVES = ("loss", "eval_loss")
MAX_POINTS = 500


def main() -> None:
    """The page."""
    crumbs = [cells.link("Experiments", "experiments")]
    panels.head("Compare experiments", text="Settings that differ stand out.", crumbs=crumbs)
    wanted = [name for name in st.query_params.get("ids", "").split(",") if name][:MAX_COMPARED]
    if len(wanted) < 2:
        text = "Choose two or more in the list of experiments."
        panels.empty("Nothing to compare", text, key="compare:none", action=("Show experiments", "experiments"))
        return
    comparison = api.client().experiments.compare(wanted, names=CURVES, points=MAX_POINTS)
    found = list(comparison.experiments)
    names = _names(found)
    _curves(comparison, names)
    _table(comparison, names)


def _names(found: list[Experiment]) -> list[str]:
    """A name for each, told apart by its id where two are called the same."""
    given = [item.name or "experiment" for item in found]
    return [name if given.count(name) == 1 else f"{name} ({item.id[-6:]})"
            for name, item in zip(given, found, strict=True)]  # fmt: skip


def _curves(comparison: Comparison, names: list[str]) -> None:
    by_id = {item.id: name for item, name in zip(comparison.experiments, names, strict=True)}
    for place, curve in zip(st.columns(2), CURVES, strict=True):
        found = {name: comparison.series.get(identity, {}).get(curve) for identity, name in by_id.items()}
        lines = {name: points for name, points in found.items() if points}
        if lines:
            title = "Training loss" if curve == "loss" else "Evaluation loss"
            with place:
                st.markdown(f"**{title}**")
                charts.lines(lines, unit=charts.unit_of(curve), alt=f"{title} of each experiment by step")


def _table(comparison: Comparison, names: list[str]) -> None:
    found = comparison.experiments
    head = ["", *names]
    facts: list[tuple[str, list[cells.Cell]]] = [
        ("Experiment", [cells.link(name, "experiment", id=item.id) for name, item in zip(names, found, strict=True)]),
        ("Status", [tables.experiment_status(item) for item in found]),
        ("Training loss", [formatting.number(item.train_loss) for item in found]),
        ("Evaluation loss", [formatting.number(item.eval_loss) for item in found]),
        ("Steps", [formatting.count(item.steps) for item in found]),
        ("Took", [formatting.duration(item.duration_s) for item in found]),
        ("Base model", [cells.model(item.base_model) for item in found]),
        ("Training data", [cells.dataset(item.training_dataset) for item in found]),
        ("Evaluation data", [cells.dataset(item.evaluation_dataset) for item in found]),
    ]
    for name in sorted({name for item in found for name in story.asked_for(item.config)}):
        values = [story.asked_for(item.config).get(name) for item in found]
        same = name not in comparison.differences
        facts.append((formatting.words(name).capitalize(), cells.side_by_side(values, same=same)))
    rows: list[dict[str, Any]] = [cells.row(label, label, *shown) for label, shown in facts]
    draw(cells.table("Comparison", head, rows), key="compare:table")


main()
