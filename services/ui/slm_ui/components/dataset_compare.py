"""Two datasets side by side: what changed from one to the other, and which rows stand in both."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from slm_client.models import Dataset, DatasetComparison
from slm_ui import api, formatting
from slm_ui.components import cells, panels
from slm_ui.components.address import put
from slm_ui.components.live import live
from slm_ui.components.picker import MAX_SHOWN, pick
from slm_ui.components.states import saved
from slm_ui.components.view import draw
from slm_ui.settings import settings

OTHER, COMPARISON = "other", "comparison"
EARLIER = 20
MAX_EXAMPLES = 3
MAX_TEXT = 400
Report = Mapping[str, Any]


def show(dataset: Dataset) -> None:
    """Ask for a comparison, look at one, and find the earlier ones."""
    earlier = api.soon(lambda client: client.datasets.comparisons(dataset.id, limit=EARLIER))
    _ask(dataset)
    found = earlier.result().items
    chosen = st.query_params.get(COMPARISON) or (found[0].id if found else None)
    if chosen is None:
        text = (
            "Between training and evaluation data, rows that stand in both are leakage: a model is measured on what it "
            "was taught. Between two versions, the comparison shows what changed."
        )
        panels.empty("Not compared yet", text, key="compare:none")
        return
    first = next((each for each in found if each.id == chosen), None)
    first = first or api.client().datasets.get_comparison(dataset.id, chosen)
    live(_result, every=settings().refresh_s if first.status == "queued" else None)(dataset, first)
    if len(found) > 1:
        _earlier(dataset, found)


def _ask(dataset: Dataset) -> None:
    other = pick(
        "Dataset to compare with",
        OTHER,
        find=lambda q: [
            item
            for item in api.client().datasets.list(status="processed", q=q, limit=MAX_SHOWN).items
            if item.id != dataset.id
        ],
        get=api.client().datasets.get,
        describe=lambda item: f"{item.name} · {item.usage} · {formatting.count(item.rows)} rows",
    )
    if st.button("Compare", type="primary", key="compare:ask", disabled=other is None) and other is not None:
        with saved("They were not compared"):
            asked = api.client().datasets.request_comparison(dataset.id, other=other.id)
        put({COMPARISON: asked.id})
        st.rerun()


def _result(dataset: Dataset, first: DatasetComparison) -> None:
    """What was found; looks again while the platform reads the rows."""
    found = first if first.status != "queued" else api.client().datasets.get_comparison(dataset.id, first.id)
    if found.status != first.status:
        st.rerun(scope="app")
    st.subheader(f"Compared with {formatting.plain(found.other_name)}", anchor=False)
    if found.error is not None:
        st.error(formatting.plain(found.error.message), title="They could not be compared")
    elif found.report is None:
        st.info("The platform reads the rows of both.", icon=":material/hourglass_top:")
    else:
        _report(dataset, found, found.report)


def _report(dataset: Dataset, found: DatasetComparison, report: Report) -> None:
    _verdict(dataset, found, report)
    rows, near = report["rows"], report["near"]
    panels.facts(
        [
            ("Rows in this dataset", formatting.count(rows["left"])),
            ("Rows in the other", formatting.count(rows["right"])),
            ("Whole row in both", formatting.count(report["common_rows"])),
            ("Only in this one", formatting.count(report["removed_rows"])),
            ("Only in the other", formatting.count(report["added_rows"])),
            ("Same text in the other", _share(report["exact"]["rows"], rows["left"])),
            ("Nearly the same text", _near(near)),
            ("Nearly means", f"a similarity of {near['threshold']:.0%} or more"),
        ],
        key="compare:facts",
    )
    _schema(report["schema"])
    _examples(dataset, found.other_id, report)


def _near(found: Report) -> str:
    if not found["sampled_rows"]:
        return "not compared: rows are too short"
    return f"{found['rows']:,} of {found['sampled_rows']:,} looked at"


def _share(part: int, whole: int) -> str:
    return f"{part:,} ({part / whole:.1%})" if whole else f"{part:,}"


def _verdict(dataset: Dataset, found: DatasetComparison, report: Report) -> None:
    exact, near = report["exact"]["rows"], report["near"]["rows"]
    there = formatting.plain(found.other_name)
    if found.other_name.rpartition("-v")[0] == dataset.family:
        stay, here, only = (formatting.count(report[f"{name}_rows"]) for name in ("common", "removed", "added"))
        st.info(f"Of two versions: {stay} rows stand in both, {here} only here, {only} only in {there}.")
    elif exact or near:
        told = f"{exact:,} rows of {formatting.plain(dataset.name)} stand in {there} with the same text"
        more = f", {near:,} more nearly so" if near else ""
        advice = "A model trained on one of them scores too well on the other."
        st.warning(f"{told}{more}. {advice}", title="Rows in both", icon=":material/warning:")
    else:
        looked = (
            "exactly or nearly" if report["near"]["sampled_rows"] else "exactly; they are too short to look for near"
        )
        st.success(f"No row has the same text in both, {looked}.", icon=":material/check:")
    if any(report["schema"].values()):
        st.caption(
            "Rows are compared by the text of all columns. Rows that agree only in the shared ones do not count."
        )


def _schema(schema: Report) -> None:
    changes: list[tuple[str, str | None, str]] = [(name, None, "added") for name in schema["added"]]
    changes += [(name, None, "removed") for name in schema["removed"]]
    changes += [(each["name"], f"{each['left']} to {each['right']}", "changed") for each in schema["changed"]]
    st.subheader("Columns", anchor=False)
    if not changes:
        st.caption("The same names and types in both.")
        return
    tones = {"added": "good", "removed": "bad", "changed": "warn"}
    told = {"added": "only in the other", "removed": "only in this one", "changed": "another type"}
    rows = [
        cells.row(name, cells.mono(name), cells.badge(told[kind], tone=tones[kind]), detail)
        for name, detail, kind in changes
    ]
    head = ["Column", "Difference", "Type in this one to the other"]
    draw(cells.table("Columns that differ", head, rows), key="compare:schema")


def _examples(dataset: Dataset, other_id: str, report: Report) -> None:
    """Some pairs in full, so that one sees what was taken for the same."""
    pairs = [(kind, pair) for kind in ("exact", "near") for pair in report[kind]["examples"][:MAX_EXAMPLES]]
    if not pairs:
        return
    st.subheader("For example", anchor=False)
    asked = [
        [api.soon(_reader(identity, pair[side])) for identity, side in ((dataset.id, "left"), (other_id, "right"))]
        for _, pair in pairs
    ]
    head = ["Match", "This dataset", "The other"]
    rows = [
        cells.row(
            f"{kind}:{pair['left']}",
            cells.badge("same text" if kind == "exact" else "nearly", tone="bad" if kind == "exact" else "warn"),
            {"text": left.result(), "pre": True, "sub": f"row {pair['left'] + 1:,}"},
            {"text": right.result(), "pre": True, "sub": f"row {pair['right'] + 1:,}"},
        )
        for (kind, pair), (left, right) in zip(pairs, asked, strict=True)
    ]
    draw(cells.table("Rows in both", head, rows), key="compare:examples")


def _reader(identity: str, row: int) -> Any:
    def read(client: Any) -> str:
        found = client.datasets.preview(identity, offset=row, limit=1).rows
        text = "\n".join(f"{name}: {formatting.as_text(value)}" for name, value in found[0].items()) if found else ""
        return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}…"

    return read


def _earlier(dataset: Dataset, found: Sequence[DatasetComparison]) -> None:
    st.subheader("Comparisons so far", anchor=False)
    rows = [
        cells.row(
            each.id,
            cells.link(each.other_name, "dataset", id=dataset.id, tab="Compare", comparison=each.id),
            cells.status({"done": "ready"}.get(each.status, each.status)),
            cells.moment(each.created_at),
        )
        for each in found
    ]
    head = ["With", "Status", "Asked for"]
    draw(cells.table("Comparisons", head, rows), key="compare:earlier")
