"""Models: base and fine-tuned, every version."""

from typing import Any

import streamlit as st

from slm_client.models import Model
from slm_ui import api, formatting
from slm_ui.components import cells, panels
from slm_ui.components.address import put
from slm_ui.components.listing import Listing
from slm_ui.components.view import draw

KINDS = ("base", "fine_tuned")
PICK = "pick"
MAX_PICKED = 10
COLUMNS = (
    cells.column("Model", sort="name"),
    cells.column("Type", sort="kind"),
    cells.column("Version", sort="version", align="right"),
    "Architecture",
    cells.column("Parameters", sort="parameter_count", align="right"),
    cells.column("Base model", sort="base_model"),
    cells.column("Training data", sort="training_dataset"),
    cells.column("Loss", sort="eval_loss", align="right"),
    cells.column("Created", sort="created_at"),
)


def main() -> None:
    """The page."""
    panels.head(
        "Models", text="Every version with the way it was made. A finished experiment registers its model here."
    )
    listing = Listing("models")
    search, kind = st.columns([3, 1])
    with search:
        q = listing.search("Search by name")
    with kind:
        wanted = listing.choice("Type", "kind", KINDS)
    names = ("family", "alias", "tag", "dataset", "base_model")
    narrowed: dict[str, Any] = {name: st.query_params[name] for name in names if st.query_params.get(name)}
    with st.spinner("Loading models"):
        page = api.client().models.list(kind=wanted, q=q, **narrowed, **listing.place)
    if page.items:
        picked = [name for name in st.query_params.get(PICK, "").split(",") if name]
        listing.show(page, _row, columns=COLUMNS, label="Models", selectable=True, picked=picked, pick=_pick)
        _compare(picked)
    elif listing.is_filtered:
        panels.empty("Nothing matches", "Try another search or fewer filters.", key="models:none")
    else:
        text = "Train one, and it is registered here with its card."
        panels.empty("No models yet", text, key="models:empty", action=("Train a model", "train"))


def _pick(chosen: list[str]) -> None:
    put({PICK: ",".join(chosen[-MAX_PICKED:])})


def _compare(picked: list[str]) -> None:
    """The chosen models side by side: facts, configuration, metrics; what differs stands out."""
    if len(picked) < 2:
        return
    found = api.client().models.compare(*picked)
    head = ["", *(model.name for model in found.models)]
    rows = [
        cells.row(f"{part}:{fact.name}", _label(fact.name), *cells.side_by_side(fact.values, same=fact.same))
        for part, facts in (("fact", found.facts), ("setting", found.configuration), ("metric", found.metrics))
        for fact in facts
    ]
    st.subheader("Side by side", anchor=False)
    draw(cells.table("Comparison", head, rows), key="models:compared")


def _label(name: str) -> str:
    return formatting.words(name).capitalize()


def _row(item: Model) -> dict[str, Any]:
    version: list[cells.Cell] = [str(item.version)]
    if item.is_latest:
        version.append(cells.badge("latest", tone="accent"))
    version += [cells.badge(alias, tone="good") for alias in item.aliases if alias != "latest"]
    return cells.row(
        item.id,
        cells.link(item.name, "model", id=item.id),
        formatting.words(item.kind),
        version,
        architecture(item),
        formatting.parameters(item.parameter_count),
        cells.model(item.base_model),
        cells.dataset(item.training_dataset),
        formatting.number(item.eval_loss),
        cells.moment(item.created_at),
        label=item.name,
    )


def architecture(item: Model) -> str | None:
    """The name of its architecture."""
    named = item.architecture.get("architectures") or [item.architecture.get("model_type")]
    return str(named[0]) if named and named[0] else None


main()
