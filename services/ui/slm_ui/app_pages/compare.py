"""Experiments side by side: what was asked of each, how they went, what came of them."""

from typing import Any

import streamlit as st

from slm_client.models import Experiment
from slm_ui import api, formatting
from slm_ui.components import cells, charts, panels, story, tables
from slm_ui.components.view import draw

MAX_COMPARED = 8
CURVES = ("loss", "eval_loss")


def main() -> None:
    """The page."""
    crumbs = [cells.link("Experiments", "experiments")]
    panels.head("Compare experiments", text="Settings that differ stand out.", crumbs=crumbs)
    wanted = [name for name in st.query_params.get("ids", "").split(",") if name][:MAX_COMPARED]
    if len(wanted) < 2:
        text = "Choose two or more in the list of experiments."
        panels.empty("Nothing to compare", text, key="compare:none", action=("Show experiments", "experiments"))
        return
    found = [api.client().experiments.get(name) for name in wanted]
    names = _names(found)
    _curves(found, names)
    _table(found, names)


def _names(found: list[Experiment]) -> list[str]:
    """A name for each, told apart by its id where two are called the same."""
    given = [item.name or "experiment" for item in found]
    return [name if given.count(name) == 1 else f"{name} ({item.id[-6:]})"
            for name, item in zip(given, found, strict=True)]  # fmt: skip


def _curves(found: list[Experiment], names: list[str]) -> None:
    series = {name: api.client().experiments.metrics(item.id).series for name, item in zip(names, found, strict=True)}
    for place, curve in zip(st.columns(2), CURVES, strict=True):
        lines = {name: each[curve] for name, each in series.items() if each.get(curve)}
        if lines:
            title = "Training loss" if curve == "loss" else "Evaluation loss"
            with place:
                st.markdown(f"**{title}**")
                charts.lines(lines, unit=charts.unit_of(curve), alt=f"{title} of each experiment by step")


def _table(found: list[Experiment], names: list[str]) -> None:
    head = [cells.column(""), *(cells.column(name) for name in names)]
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
    configs = [story.asked_for(item.config) for item in found]
    for name in dict.fromkeys(name for config in configs for name in config):
        values = [formatting.as_text(config.get(name)) for config in configs]
        facts.append((formatting.words(name).capitalize(), _marked(values)))
    rows: list[dict[str, Any]] = [{"id": label, "cells": [label, *shown]} for label, shown in facts]
    draw(cells.table("Comparison", head, rows), key="compare:table")


def _marked(values: list[str]) -> list[cells.Cell]:
    """Values that differ stand out."""
    if len(set(values)) == 1:
        return [{"text": "", "sub": value} for value in values]
    return [cells.badge(value, tone="accent") for value in values]


main()
