"""One dataset version: where it stands, what is in it, what is wrong with it, what was made of it."""

from collections.abc import Callable
from functools import partial

import streamlit as st

from slm_client.models import Dataset, Problem
from slm_ui import api, downloads, formatting
from slm_ui.components import cells, dataset_actions, dataset_checks, dataset_compare, panels, sections, tables
from slm_ui.components.identity import wanted
from slm_ui.components.live import live
from slm_ui.components.view import draw
from slm_ui.settings import settings

PREVIEW_ROWS = 20
FORMATS = ("raw", "jsonl", "csv", "parquet")
MAX_CELL = 600
USES = 20


def main() -> None:
    """The page."""
    reference = wanted("dataset", "datasets")
    dataset = api.client().datasets.get(reference)
    is_moving = dataset.status == "in_progress"
    live(_top, every=settings().refresh_s if is_moving else None)(reference, dataset)
    dataset_actions.show(dataset)
    if dataset.error:
        _show_error(dataset, dataset.error)
    sections.show({name: partial(part, dataset) for name, part in _parts(dataset).items()})


def _parts(dataset: Dataset) -> dict[str, Callable[[Dataset], None]]:
    """What there is to see of it: its rows only once they were read."""
    parts: dict[str, Callable[[Dataset], None]] = {"Details": _facts, "Problems": dataset_checks.problems}
    if dataset.status == "processed":
        parts |= {"Rows": _rows, "Report": dataset_checks.report, "Tokens": dataset_checks.tokens}
        parts |= {"Compare": dataset_compare.show}
    return parts | {"Versions": _versions, "Used by": _uses}


def _top(reference: str, first: Dataset) -> None:
    """The head; while the file is processed it looks again until that has ended."""
    dataset = api.client().datasets.get(reference) if first.status == "in_progress" else first
    if dataset.status != first.status:
        st.rerun(scope="app")
    badges = [cells.status(dataset.status), formatting.words(dataset.usage)]
    panels.head(dataset.name, text=dataset.description, crumbs=[cells.link("Datasets", "datasets")], badges=badges)
    if dataset.status == "in_progress":
        _progress(dataset)


def _progress(dataset: Dataset) -> None:
    progress = dataset.progress
    if progress is None or not progress.total:
        st.progress(0.0, text="The platform reads and checks the file. You may leave this page.")
        return
    share = min(1.0, progress.done / progress.total)
    st.progress(share, text=f"{formatting.words(progress.stage).capitalize()} · {share:.0%}")


def _show_error(dataset: Dataset, error: Problem) -> None:
    place = [f"line {error.line:,}" if error.line else "", f"column “{error.column}”" if error.column else ""]
    where = " · ".join(part for part in place if part)
    lines = [formatting.plain(error.message)]
    lines += [f"Where: {formatting.plain(where)}"] if where else []
    lines += [formatting.plain(error.hint)] if error.hint else []
    st.error("\n\n".join(lines), title="This file cannot be used yet", icon=":material/error:")
    family = formatting.plain(dataset.family)
    st.caption(f"Correct the file and upload it again as “{family}”, or read it with other options.")


def _facts(dataset: Dataset) -> None:
    panels.facts(
        [
            ("Rows", formatting.count(dataset.rows)),
            ("Size", formatting.size(dataset.size_bytes)),
            ("File", dataset.file_name),
            ("Format", dataset.format),
            ("Type", dataset.data_type),
            ("Row format", dataset.row_format),
            ("Not trainable because", cells.long(dataset.untrainable_because)),
            ("Rows left out", formatting.count(dataset.skipped_rows) if dataset.skipped_rows else None),
            ("Origin", dataset.origin),
            ("Made from", [cells.link(parent.name, "dataset", id=parent.id) for parent in dataset.parents] or None),
            ("Owner", dataset.owner),
            ("Added", cells.moment(dataset.created_at)),
            ("Processed", cells.moment(dataset.processed_at)),
            ("SHA-256 of the file", cells.short(dataset.sha256)),
            ("SHA-256 of the rows", cells.short(dataset.canonical_sha256)),
            ("Id", cells.mono(dataset.id)),
        ],
        key="facts",
    )
    if dataset.columns:
        used = {column: field for field, column in dataset.mapping.items()}
        rows = [
            cells.row(column.name, cells.mono(column.name), cells.mono(column.type), used.get(column.name))
            for column in dataset.columns
        ]
        head = ["Column", "Type", "Used as"]
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
    total = dataset.rows or 0
    pages = max(1, -(-total // PREVIEW_ROWS))
    number = 1
    if pages > 1:
        number = st.pagination(pages, key="rows:page")
    preview = api.client().datasets.preview(dataset.id, offset=(number - 1) * PREVIEW_ROWS, limit=PREVIEW_ROWS)
    names = [column.name for column in dataset.columns] or list(preview.rows[0] if preview.rows else ())
    rows = [cells.row(str(index), *(_cell(row.get(name)) for name in names)) for index, row in enumerate(preview.rows)]
    draw(cells.table("Rows", names, rows), key="rows")
    first = (number - 1) * PREVIEW_ROWS
    st.caption(f"Rows {first + 1:,} to {first + len(rows):,} of {total:,}")


def _cell(value: object) -> cells.Cell:
    if isinstance(value, dict) and "thumbnail" in value:
        return {"text": value.get("path"), "image": downloads.thumbnail_url(str(value["thumbnail"]))}
    text = formatting.as_text(value)
    return cells.long(text if len(text) <= MAX_CELL else f"{text[:MAX_CELL]}…")


def _versions(dataset: Dataset) -> None:
    found = api.client().datasets.list(family=dataset.family, limit=100)
    rows = [
        cells.row(
            item.id,
            f"{item.name} (this one)" if item.id == dataset.id else cells.link(item.name, "dataset", id=item.id),
            cells.status(item.status),
            formatting.count(item.rows),
            formatting.size(item.size_bytes),
            cells.moment(item.created_at),
        )
        for item in found.items
    ]
    head = ["Version", "Status", cells.column("Rows", align="right"), cells.column("Size", align="right"), "Added"]
    draw(cells.table("Versions", head, rows), key="versions")


def _uses(dataset: Dataset) -> None:
    trained = api.soon(lambda client: client.experiments.list(dataset_id=dataset.id, limit=USES))
    measured = api.soon(lambda client: client.evaluations.list(dataset_id=dataset.id, limit=USES))
    made = api.client().models.list(dataset=dataset.id, limit=USES)
    experiments, evaluations = trained.result(), measured.result()
    if made.items:
        st.subheader("Models", anchor=False)
        panels.strip([cells.link(item.name, "model", id=item.id) for item in made.items], key="uses:models")
    if not experiments.items and not evaluations.items:
        panels.empty("Not used yet", "Experiments and evaluations that use this version appear here.", key="uses:none")
    if experiments.items:
        st.subheader("Experiments", anchor=False)
        tables.experiments(experiments.items, key="uses:experiments")
    if evaluations.items:
        st.subheader("Evaluations", anchor=False)
        tables.evaluations(evaluations.items, key="uses:evaluations")


main()
