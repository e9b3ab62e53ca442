"""What is wrong with a dataset, what its rows are like, and what a model would see of them."""

from typing import Any

import streamlit as st

from slm_client.models import Dataset, RenderedRow, TokenReport
from slm_ui import api, formatting
from slm_ui.components import cells, panels
from slm_ui.components.live import live
from slm_ui.components.states import saved
from slm_ui.components.view import draw
from slm_ui.settings import settings

MAX_MODELS = 100
SHORT = {"name", "type"}


def problems(dataset: Dataset) -> None:
    """Everything wrong with the file, with its place."""
    found = api.client().datasets.problems(dataset.id)
    if not found.total:
        panels.empty("No problems", "Every row of the file could be read.", key="problems:none")
        return
    counted = ", ".join(f"{number:,} x {formatting.words(code)}" for code, number in found.counts.items())
    left = f" {found.skipped_rows:,} rows were left out." if found.skipped_rows else ""
    st.caption(formatting.plain(f"{found.total:,} problems: {counted}.{left}"))
    head = [cells.column("Line", align="right"), "Column", "Problem", "What to do", "Text in the file"]
    rows = [
        cells.row(
            str(index),
            formatting.count(each.line),
            each.column or each.path,
            {"text": each.message, "sub": formatting.words(each.code)},
            each.hint,
            {"text": each.sample, "mono": True} if each.sample else None,
        )
        for index, each in enumerate(found.items)
    ]
    draw(cells.table("Problems", head, rows), key="problems")


def report(dataset: Dataset) -> None:
    """A profile per column, and the quality of the rows."""
    found = api.client().datasets.report(dataset.id)
    live(_quality, every=settings().refresh_s if found.quality_status == "queued" else None)(dataset.id)
    st.subheader("Columns", anchor=False)
    names = [name for name in _measured(found.profile) if name not in SHORT]
    head = ["Column", "Type", *(cells.column(formatting.words(name), align="right") for name in names)]
    rows = [
        cells.row(
            str(each.get("name")),
            cells.mono(each.get("name")),
            cells.mono(each.get("type")),
            *(formatting.as_text(each.get(name)) for name in names),
        )
        for each in found.profile
    ]
    draw(cells.table("Columns", head, rows), key="report:columns")


def _measured(profile: Any) -> list[str]:
    """What was measured of any column, plain values only."""
    return list(dict.fromkeys(name for each in profile for name, value in each.items()
                              if not isinstance(value, dict | list)))  # fmt: skip


def _quality(reference: str) -> None:
    found = api.client().datasets.report(reference)
    quality = found.quality
    if quality is None:
        st.info("The platform looks for duplicates, languages and personal data.", icon=":material/hourglass_top:")
        return
    names = ((each["language"], each["rows"]) for each in quality.get("languages", ()))
    # ISO 639-2 has `und` for a language that is not determined: a text too short to tell.
    languages = ", ".join(f"{'not determined' if name == 'und' else name} {rows:,}" for name, rows in names)
    panels.facts(
        [
            ("Rows", formatting.count(quality.get("rows"))),
            ("Rows sampled", formatting.count(quality.get("sampled_rows"))),
            ("Exact duplicates", formatting.count((quality.get("duplicates") or {}).get("rows"))),
            ("Near duplicates", formatting.count((quality.get("near_duplicates") or {}).get("rows"))),
            ("Empty rows", formatting.count(quality.get("empty_rows"))),
            ("Empty answers", formatting.count(quality.get("empty_answers"))),
            ("Rows that seem cut off", formatting.count(quality.get("cut_rows"))),
            ("Languages", languages or None),
            *_personal(quality.get("personal_data") or {}),
        ],
        key="report:quality",
    )


def _personal(found: dict[str, Any]) -> list[tuple[str, cells.Cell]]:
    """How many rows seem to name whom."""
    return [
        (f"Rows with personal data: {formatting.words(name)}", f"{value['rows']:,}") for name, value in found.items()
    ]


def tokens(dataset: Dataset) -> None:
    """What the rows become in front of a base model."""
    client = api.client()
    models = {item.id: item.name for item in client.models.list(limit=MAX_MODELS).items}
    model_place, length_place, ask_place = st.columns([2, 1, 1], vertical_alignment="bottom")
    model = model_place.selectbox("Base model", list(models), format_func=models.__getitem__, key="tokens:model")
    length = length_place.number_input("Longest row (tokens)", 8, 8192, 256, key="tokens:length")
    if ask_place.button("Count", key="tokens:ask", width="stretch") and model:
        with saved("The tokens were not counted"):
            client.datasets.request_token_report(dataset.id, model=model, max_length=int(length))
    found = client.datasets.token_reports(dataset.id, limit=1).items
    if not found:
        text = "How many rows are kept or cut, and what the model learns of each, in the tokens of a base model."
        panels.empty("Not counted yet", text, key="tokens:none")
        return
    live(_tokens, every=settings().refresh_s if found[0].status == "queued" else None)(dataset.id, found[0])


def _tokens(reference: str, first: TokenReport) -> None:
    asked = first if first.status != "queued" else api.client().datasets.get_token_report(reference, first.id)
    if asked.status != first.status:
        st.rerun(scope="app")
    told = f"{asked.model_name}, rows up to {asked.max_length:,} tokens"
    if asked.error is not None:
        st.error(formatting.plain(asked.error.message), title=f"Not counted for {formatting.plain(told)}")
        return
    if asked.report is None:
        st.info(f"Counting for {formatting.plain(told)}.", icon=":material/hourglass_top:")
        return
    counts = asked.report
    st.caption(formatting.plain(told))
    panels.facts(
        [
            ("Rows kept", f"{counts.kept_rows:,} of {counts.rows:,}"),
            ("Rows cut off", formatting.count(counts.truncated_rows)),
            ("Rows left out", formatting.count(counts.dropped_rows)),
            ("Tokens", formatting.count(counts.total_tokens)),
            ("Trained tokens", formatting.count(counts.trained_tokens)),
            ("Length, median", formatting.count(counts.p50_length)),
            ("Length, 95th percentile", formatting.count(counts.p95_length)),
            ("Longest row", formatting.count(counts.max_row_length)),
            ("Learns when to stop", "yes" if counts.stop_token_trained else "no"),
        ],
        key="tokens:facts",
    )
    st.caption("What the model reads. It learns the marked text.")
    draw({"kind": "rendered", "rows": [_rendered(row) for row in counts.samples]}, key="tokens:rows")


def _rendered(row: RenderedRow) -> dict[str, Any]:
    return {
        "note": f"Row {row.row:,} · {row.outcome} · {row.tokens:,} tokens, {row.trained_tokens:,} learned",
        "sequences": [[[span.text, span.trained] for span in sequence] for sequence in row.sequences],
    }
