"""One dataset version: where it stands, what is in it, what is wrong with it, what was made of it."""

from functools import partial

import streamlit as st

from slm_client.models import Dataset, Problem
from slm_ui import api, downloads, formatting
from slm_ui.components import cells, panels, tables
from slm_ui.components.confirm import ask
from slm_ui.components.identity import wanted
from slm_ui.components.live import live
from slm_ui.components.view import draw
from slm_ui.navigation import go, href
from slm_ui.settings import settings

PREVIEW_ROWS = 20
FORMATS = ("raw", "jsonl", "csv", "parquet")
MAX_CELL = 600


def main() -> None:
    """The page."""
    reference = wanted("dataset", "datasets")
    dataset = api.client().datasets.get(reference)
    is_moving = dataset.status == "in_progress"
    live(_top, every=settings().refresh_s if is_moving else None)(reference, dataset)
    _actions(dataset)
    if dataset.error:
        _show_error(dataset, dataset.error)
    facts, rows, versions, uses = st.tabs(["Details", "Rows", "Versions", "Used by"])
    with facts:
        _facts(dataset)
    with rows:
        _rows(dataset)
    with versions:
        _versions(dataset)
    with uses:
        _uses(dataset)


def _top(reference: str, first: Dataset) -> None:
    """The head; while the file is processed it looks again until that has ended."""
    dataset = api.client().datasets.get(reference) if first.status == "in_progress" else first
    if dataset.status != first.status:
        st.rerun(scope="app")
    badges = [cells.status(dataset.status), formatting.words(dataset.usage)]
    panels.head(dataset.name, text=dataset.description, crumbs=[cells.link("Datasets", "datasets")], badges=badges)
    if dataset.status == "in_progress":
        st.progress(0.0, text="The platform reads and checks the file. You may leave this page.")


def _actions(dataset: Dataset) -> None:
    row = st.container(horizontal=True)
    is_ready = dataset.status == "processed"
    is_training = dataset.usage == "training"
    if is_ready and row.button("Train on this" if is_training else "Evaluate on this", type="primary", key="train"):
        field = "training_dataset" if is_training else "evaluation_dataset"
        go(href("train", **{field: dataset.id}))
    if row.button("Delete", icon=":material/delete:", key="delete", disabled=dataset.status == "in_progress"):
        text = f"{dataset.name} is taken away from new work and its files are removed. Its models keep their record."
        ask(f"Delete {formatting.plain(dataset.name)}?", text, verb="Delete", do=partial(_delete, dataset))
    if st.session_state.pop("dataset:deleted", None):
        go(href("datasets"))


def _delete(dataset: Dataset) -> None:
    api.client().datasets.delete(dataset.id)
    st.session_state["dataset:deleted"] = True


def _show_error(dataset: Dataset, error: Problem) -> None:
    place = [f"line {error.line:,}" if error.line else "", f"column “{error.column}”" if error.column else ""]
    where = " · ".join(part for part in place if part)
    lines = [formatting.plain(error.message)]
    lines += [f"Where: {formatting.plain(where)}"] if where else []
    lines += [formatting.plain(error.hint)] if error.hint else []
    st.error("\n\n".join(lines), title="This file cannot be used yet", icon=":material/error:")
    st.caption(f"Mend the file and upload it again under the name “{formatting.plain(dataset.family)}”.")
    if st.button("Upload again", icon=":material/upload:", key="again"):
        go(href("datasets", upload=dataset.family, usage_of=dataset.usage))


def _facts(dataset: Dataset) -> None:
    extra = dataset.model_extra or {}
    panels.facts(
        [
            ("Rows", formatting.count(dataset.rows)),
            ("Size", formatting.size(dataset.size_bytes)),
            ("File", extra.get("file_name")),
            ("Format", dataset.format),
            ("Type", dataset.data_type),
            ("Rows are", dataset.row_format),
            ("Owner", dataset.owner),
            ("Added", cells.moment(dataset.created_at)),
            ("Processed", cells.moment(dataset.processed_at)),
            ("SHA-256 of the file", cells.short(dataset.sha256)),
            ("SHA-256 of the rows", cells.short(extra.get("canonical_sha256"))),
            ("Id", cells.mono(dataset.id)),
        ],
        key="facts",
    )
    if dataset.columns:
        used = {column: field for field, column in dataset.mapping.items()}
        rows = [
            {"id": column.name, "cells": [cells.mono(column.name), cells.mono(column.type), used.get(column.name)]}
            for column in dataset.columns
        ]
        head = [cells.column("Column"), cells.column("Type"), cells.column("Used as")]
        draw(cells.table("Columns", head, rows), key="columns")
    _files(dataset)


def _files(dataset: Dataset) -> None:
    formats = FORMATS if dataset.status == "processed" else FORMATS[:1]
    links = [
        {
            "text": "As uploaded" if name == "raw" else name.upper(),
            "href": downloads.dataset_url(dataset.id, file_format=name),
            "download": True,
        }
        for name in formats
    ]
    panels.strip(["Download:", *links], key="files")


def _rows(dataset: Dataset) -> None:
    if dataset.status != "processed":
        panels.empty("No rows to show", "Rows appear here once the file is processed.", key="rows:none")
        return
    total = dataset.rows or 0
    pages = max(1, -(-total // PREVIEW_ROWS))
    number = 1
    if pages > 1:
        number = st.pagination(pages, key="rows:page")
    preview = api.client().datasets.preview(dataset.id, offset=(number - 1) * PREVIEW_ROWS, limit=PREVIEW_ROWS)
    names = [column.name for column in dataset.columns] or list(preview.rows[0] if preview.rows else ())
    rows = [
        {"id": str(index), "cells": [_cell(row.get(name)) for name in names]} for index, row in enumerate(preview.rows)
    ]
    draw(cells.table("Rows", [cells.column(name) for name in names], rows), key="rows")
    first = (number - 1) * PREVIEW_ROWS
    st.caption(f"Rows {first + 1:,} to {first + len(rows):,} of {total:,}")


def _cell(value: object) -> cells.Cell:
    text = formatting.as_text(value)
    return cells.long(text if len(text) <= MAX_CELL else f"{text[:MAX_CELL]}…")


def _versions(dataset: Dataset) -> None:
    found = api.client().datasets.list(q=dataset.family, limit=100)
    rows = [
        {
            "id": item.id,
            "cells": [
                f"{item.name} (this one)" if item.id == dataset.id else cells.link(item.name, "dataset", id=item.id),
                cells.status(item.status),
                formatting.count(item.rows),
                formatting.size(item.size_bytes),
                cells.moment(item.created_at),
            ],
        }
        for item in found.items
        if item.family == dataset.family
    ]
    head = [cells.column("Version"), cells.column("Status"), cells.column("Rows", align="right"),
            cells.column("Size", align="right"), cells.column("Added")]  # fmt: skip
    draw(cells.table("Versions", head, rows), key="versions")


def _uses(dataset: Dataset) -> None:
    client = api.client()
    experiments = client.experiments.list(dataset_id=dataset.id, limit=20)
    evaluations = client.evaluations.list(dataset_id=dataset.id, limit=20)
    if not experiments.items and not evaluations.items:
        panels.empty("Not used yet", "Experiments and evaluations that use this version appear here.", key="uses:none")
    if experiments.items:
        st.subheader("Experiments", anchor=False)
        tables.experiments(experiments.items, key="uses:experiments")
    if evaluations.items:
        st.subheader("Evaluations", anchor=False)
        tables.evaluations(evaluations.items, key="uses:evaluations")


main()
