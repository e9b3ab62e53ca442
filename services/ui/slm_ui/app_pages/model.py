"""One model: its card, what made it, what it scores, where it comes from, and its files."""

from functools import partial
from typing import Any

import streamlit as st

from slm_client.models import Model
from slm_ui import api, formatting
from slm_ui.components import (
    ancestry,
    cells,
    model_actions,
    model_aliases,
    model_files,
    panels,
    promotion,
    scores,
    sections,
    story,
)
from slm_ui.components.identity import wanted


def main() -> None:
    """The page."""
    reference = wanted("model", "models")
    asked = api.soon(lambda client: client.models.card(reference).content())
    model = api.client().models.get(reference)
    card = asked.result()
    badges: list[cells.Cell] = [formatting.words(model.kind)]
    if model.is_latest:
        badges.append(cells.badge("latest", tone="accent"))
    badges += [cells.badge(alias, tone="good") for alias in model.aliases if alias != "latest"]
    panels.head(
        model.name, text=model.description or model.goal, crumbs=[cells.link("Models", "models")], badges=badges
    )
    model_actions.show(model)
    sections.show(
        {
            "Card": partial(_overview, model, card),
            "Scores": partial(_scores, card),
            "Lineage": partial(_lineage, model),
            "Files": partial(model_files.show, model, card.get("files") or []),
            "Promotion": partial(promotion.show, model),
            "Aliases": partial(model_aliases.show, model),
            "As Markdown": partial(_markdown, model),
        }
    )


def _lineage(model: Model) -> None:
    ancestry.show(api.client().models.lineage(model.id), current=model.id)


def _markdown(model: Model) -> None:
    text = api.client().models.card_markdown(model.id)
    st.download_button("Download", text, file_name=f"{model.name}.md", mime="text/markdown", on_click="ignore",
                       icon=":material/download:", key="card:download")  # fmt: skip
    st.code(text, language="markdown", wrap_lines=True)


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


main()
