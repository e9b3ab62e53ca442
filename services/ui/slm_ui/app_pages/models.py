"""Models: base and fine-tuned, every version."""

from typing import Any

import streamlit as st

from slm_client.models import Model
from slm_ui import api, formatting
from slm_ui.components import cells, panels
from slm_ui.components.listing import Listing

KINDS = ("base", "fine_tuned")
COLUMNS = (
    cells.column("Model"),
    cells.column("Type"),
    cells.column("Version", align="right"),
    cells.column("Architecture"),
    cells.column("Parameters", align="right"),
    cells.column("Base model"),
    cells.column("Evaluation loss", align="right"),
    cells.column("Created"),
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
    with st.spinner("Loading models"):
        page = api.client().models.list(kind=wanted, q=q, family=st.query_params.get("family"), **listing.place)
    if page.items:
        listing.show(page, _row, columns=COLUMNS, label="Models")
    elif listing.is_filtered:
        panels.empty("Nothing matches", "Try another search or fewer filters.", key="models:none")
    else:
        text = "Train one, and it is registered here with its card."
        panels.empty("No models yet", text, key="models:empty", action=("Train a model", "train"))


def _row(item: Model) -> dict[str, Any]:
    version: list[cells.Cell] = [str(item.version)]
    if item.is_latest:
        version.append(cells.badge("latest", tone="accent"))
    return {
        "id": item.id,
        "label": item.name,
        "cells": [
            cells.link(item.name, "model", id=item.id),
            formatting.words(item.kind),
            version,
            architecture(item),
            formatting.parameters(item.parameter_count),
            cells.model(item.base_model),
            formatting.number(item.eval_loss),
            cells.moment(item.created_at),
        ],
    }


def architecture(item: Model) -> str | None:
    """The name of its architecture."""
    found = (item.model_extra or {}).get("architecture") or {}
    named = found.get("architectures") or [found.get("model_type")]
    return str(named[0]) if named and named[0] else None


main()
