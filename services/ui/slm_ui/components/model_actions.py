"""What can be done with a model."""

from functools import partial

import streamlit as st

from slm_client.models import Model
from slm_ui import api, formatting
from slm_ui.components.confirm import ask
from slm_ui.components.states import saved
from slm_ui.navigation import go, href

MAX_DATASETS = 100
MAX_DESCRIPTION = 10_000


def show(model: Model) -> None:
    """The buttons of a model's page."""
    row = st.container(horizontal=True)
    with row:
        if st.button("Train from this", type="primary", icon=":material/rocket_launch:", key="train"):
            go(href("train", base_model=model.id))
        if st.button("Evaluate", icon=":material/monitoring:", key="evaluate"):
            _evaluate(model)
        if st.button("Edit", icon=":material/edit:", key="edit"):
            _edit(model)
        if model.kind != "base" and st.button("Delete", icon=":material/delete:", key="delete"):
            text = f"{model.name} and its files are removed; its lineage stays. A model that is in use is not deleted."
            do = partial(api.client().models.delete, model.id)
            ask(f"Delete {formatting.plain(model.name)}?", text, verb="Delete", do=do, then=href("models"))


@st.dialog("Evaluate this model")
def _evaluate(model: Model) -> None:
    """Measure it on a dataset."""
    found = api.client().datasets.list(usage="evaluation", status="processed", limit=MAX_DATASETS).items
    if not found:
        st.info("There is no processed evaluation dataset yet.")
        return
    names = {item.id: item.name for item in found}
    chosen = st.selectbox("Dataset", list(names), format_func=names.__getitem__, key="evaluate:dataset")
    if st.button("Evaluate", type="primary", key="evaluate:go"):
        with saved("It was not queued"):
            queued = api.client().evaluations.create(model.id, chosen)
        go(href("evaluation", id=queued.id))


@st.dialog("Edit")
def _edit(model: Model) -> None:
    """Its description and tags; refused if somebody else has changed it meanwhile."""
    told = st.text_area("Description", model.description or "", key="edit:description", max_chars=MAX_DESCRIPTION)
    tags = st.text_input("Tags", ", ".join(model.tags), key="edit:tags", help="Separated by commas.")
    if st.button("Save", type="primary", key="edit:save"):
        chosen = [tag.strip() for tag in tags.split(",") if tag.strip()]
        with saved("It was not saved"):
            api.client().models.edit(model.id, revision=model.revision, description=told.strip() or None, tags=chosen)
        st.rerun()
