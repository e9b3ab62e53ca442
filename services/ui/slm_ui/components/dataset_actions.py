"""What can be done with a dataset, depending on where it stands."""

from functools import partial

import streamlit as st

from slm_client.models import Dataset
from slm_ui import api, formatting
from slm_ui.components.confirm import ask
from slm_ui.components.states import saved
from slm_ui.navigation import go, href

MAX_COLUMN = 200
MAX_SEED = 2**31 - 1


def show(dataset: Dataset) -> None:
    """The buttons of a dataset's page."""
    is_training = dataset.usage == "training"
    with st.container(horizontal=True):
        if dataset.status == "processed":
            told = "Train on this" if is_training else "Evaluate on this"
            if st.button(told, type="primary", icon=":material/rocket_launch:", key="train"):
                go(href("train", **{"training_dataset" if is_training else "evaluation_dataset": dataset.id}))
            if is_training and st.button("Split", icon=":material/call_split:", key="split"):
                _split(dataset)
        if dataset.status == "error" and st.button("Read again", icon=":material/replay:", key="retry:open"):
            _retry(dataset)
        is_busy = dataset.status == "in_progress"
        if st.button("Delete", icon=":material/delete:", key="delete", disabled=is_busy):
            text = f"New runs cannot use {dataset.name}, and its files are removed. Models trained on it stay."
            do = partial(api.client().datasets.delete, dataset.id)
            ask(f"Delete {formatting.plain(dataset.name)}?", text, verb="Delete", do=do, then=href("datasets"))


@st.dialog("Read the file again")
def _retry(dataset: Dataset) -> None:
    """The same file, read differently; nothing has to be uploaded again."""
    skip = st.checkbox("Leave out rows that cannot be read", key="retry:skip")
    prompt = st.text_input("Prompt column", key="retry:prompt", max_chars=MAX_COLUMN)
    answer = st.text_input("Completion column", key="retry:completion", max_chars=MAX_COLUMN)
    if st.button("Read again", type="primary", key="retry:go"):
        reading = {
            "on_bad_rows": "skip" if skip else None,
            "prompt_column": prompt.strip() or None,
            "completion_column": answer.strip() or None,
        }
        with saved("It was not read again"):
            api.client().datasets.retry(dataset.id, **{name: value for name, value in reading.items() if value})
        st.rerun()


@st.dialog("Split into training and validation")
def _split(dataset: Dataset) -> None:
    """Two new datasets: the same seed draws the same rows."""
    share = st.slider("Validation share", 0.01, 0.5, 0.1, 0.01, key="split:share", format="percent")
    seed = st.number_input("Seed", 0, MAX_SEED, 42, key="split:seed")
    if st.button("Split", type="primary", key="split:go"):
        with saved("It was not split"):
            made = api.client().datasets.split(dataset.id, validation_fraction=share, seed=int(seed))
        go(href("dataset", id=made.validation.id))
