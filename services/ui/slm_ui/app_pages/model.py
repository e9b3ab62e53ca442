"""One model: its card, what made it, what it scores, where it comes from, and its files."""

from typing import Any

import streamlit as st

from slm_client.models import Model
from slm_ui import api, downloads, formatting
from slm_ui.components import ancestry, cells, model_actions, model_aliases, panels, promotion, scores, story
from slm_ui.components.identity import wanted
from slm_ui.components.view import draw


def main() -> None:
    """The page."""
    client = api.client()
    reference = wanted("model", "models")
    model = client.models.get(reference)
    card = client.models.card(model.id).content()
    badges: list[cells.Cell] = [formatting.words(model.kind)]
    if model.is_latest:
        badges.append(cells.badge("latest", tone="accent"))
    badges += [cells.badge(alias, tone="good") for alias in model.aliases if alias != "latest"]
    panels.head(
        model.name, text=model.description or model.goal, crumbs=[cells.link("Models", "models")], badges=badges
    )
    model_actions.show(model)
    titles = ["Card", "Scores", "Lineage", "Files", "Promotion", "Aliases", "As Markdown"]
    overview, measured, lineage, files, evidence, names, text = st.tabs(titles)
    with overview:
        _overview(model, card)
    with measured:
        _scores(card)
    with lineage:
        ancestry.show(client.models.lineage(model.id), current=model.id)
    with files:
        _files(model, card)
    with evidence:
        promotion.show(model)
    with names:
        model_aliases.show(model)
    with text:
        markdown = client.models.card_markdown(model.id)
        st.download_button("Download", markdown, file_name=f"{model.name}.md", mime="text/markdown", on_click="ignore",
                           icon=":material/download:", key="card:download")  # fmt: skip
        st.code(markdown, language="markdown", wrap_lines=True)


def _overview(model: Model, card: dict[str, Any]) -> None:
    panels.facts(
        [
            ("Family", cells.link(model.family, "models", family=model.family)),
            ("Version", str(model.version)),
            ("Type", formatting.words(model.kind)),
            ("Base model", cells.model(model.base_model)),
            ("Parameters", formatting.count(model.parameter_count)),
            ("Size", formatting.size(model.size_bytes)),
            ("Created", cells.moment(model.created_at)),
            ("Owner", model.owner),
            ("Tags", ", ".join(model.tags) or None),
            ("Used", _uses(model)),
            ("Id", cells.mono(model.id)),
            ("SHA-256 of the manifest", cells.short(model.manifest_sha256)),
        ],
        key="facts",
    )
    if model.architecture:
        st.subheader("Architecture", anchor=False)
        panels.facts(_flat(model.architecture), key="architecture")
    if model.experiment_id:
        st.subheader("Training", anchor=False)
        panels.facts(_training(model, card), key="training")


def _uses(model: Model) -> cells.Cell:
    uses = api.client().models.usage(model.id).uses
    return ", ".join(f"{formatting.words(use.kind)} {use.count:,} x" for use in uses) or None


def _flat(values: dict[str, Any]) -> list[tuple[str, cells.Cell]]:
    return [
        (formatting.words(name).capitalize(), formatting.as_text(value))
        for name, value in sorted(values.items())
        if value is not None and not isinstance(value, dict)
    ]


def _training(model: Model, card: dict[str, Any]) -> list[tuple[str, cells.Cell]]:
    return [
        ("Experiment", cells.link(model.run_name or "experiment", "experiment", id=model.experiment_id)),
        ("Run", cells.short(model.run_id, "run")),
        ("Training data", _data(card.get("training_dataset"))),
        ("Evaluation data", _data(card.get("evaluation_dataset"))),
        ("Training loss", formatting.number(model.train_loss)),
        ("Evaluation loss", formatting.number(model.eval_loss)),
        ("Steps", formatting.count(model.steps)),
        ("Took", formatting.duration(model.duration_s)),
        *_flat(story.asked_for(model.config)),
        ("Goal", cells.long(model.goal)),
    ]


def _data(found: dict[str, Any] | None) -> cells.Cell:
    if not found:
        return None
    rows = found.get("rows")
    sub = None if rows is None else f"{formatting.count(rows)} rows"
    return cells.link(found["name"], "dataset", id=found["id"], sub=sub)


def _scores(card: dict[str, Any]) -> None:
    own, base = card.get("evaluations") or [], card.get("base_evaluations") or []
    if not own:
        text = "A model that was trained with evaluation data is scored by itself, shortly after it was registered."
        panels.empty("No scores yet", text, key="scores:none")
        return
    base_by_dataset = {str(found["dataset_id"]): found for found in base}
    for index, found in enumerate(own):
        before = base_by_dataset.get(str(found["dataset_id"]))
        st.subheader(f"On {formatting.plain(found['dataset_name'])}", anchor=False)
        scores.compared(
            [(found["model_name"], found["metrics"], found["id"])]
            if before is None
            else [
                (f"{before['model_name']} (base)", before["metrics"], before["id"]),
                (found["model_name"], found["metrics"], found["id"]),
            ],
            key=f"scores:{index}",
        )


def _files(model: Model, card: dict[str, Any]) -> None:
    archive = {"text": "Download all as one archive", "href": downloads.model_url(model.id), "download": True}
    panels.strip([archive, f"{formatting.size(model.size_bytes)} in all"], key="files:all")
    rows = [
        {
            "id": file["path"],
            "cells": [cells.mono(file["path"]), formatting.size(file["size_bytes"]), cells.mono(file["sha256"])],
        }
        for file in card.get("files") or []
    ]
    head = [cells.column("File"), cells.column("Size", align="right"), cells.column("SHA-256")]
    draw(cells.table("Files", head, rows), key="files")


main()
