"""The steps of the wizard in which something is chosen."""

from collections.abc import Sequence

import streamlit as st

from slm_client.models import Dataset, Model
from slm_ui import api, formatting
from slm_ui.components import cells, panels
from slm_ui.components.address import bound
from slm_ui.components.picker import MAX_SHOWN, pick
from slm_ui.draft import FIELDS, MORE, ONLY_LORA, OPTIONS, Draft

DEFAULT_BASE = "nano-v1"
ADVANCED = ("seed", "warmup_ratio", "weight_decay")
CONFIGURATION = (*OPTIONS, MORE)
LABELS = {
    "name": "Experiment name",
    "goal": "Goal",
    "description": "Description",
    "family": "Model family",
    "base_model": "Base model",
    "training_dataset": "Training dataset",
    "evaluation_dataset": "Evaluation dataset",
    "method": "Method",
    "epochs": "Epochs",
    "learning_rate": "Learning rate",
    "batch_size": "Batch size",
    "max_length": "Longest row (tokens)",
    "seed": "Seed",
    "warmup_ratio": "Warm-up share",
    "weight_decay": "Weight decay",
    "lora_rank": "LoRA rank",
    "lora_alpha": "LoRA alpha",
    "more": "Other settings",
}
HELP = {
    "learning_rate": "Leave it empty for a value that suits the method.",
    "seed": "The same seed, data and settings give the same model.",
    "more": "Any other option of a run, one name: value per line, as in a configuration file.",
    "family": "The model becomes the next version of this family. Made of the name if left empty.",
    "goal": "What the model should be able to do. It is kept on the model card.",
}
METHODS = {"full": "Full: all weights", "lora": "LoRA: small adapters"}


def details(_: Draft) -> None:
    """Name, goal, description."""
    left, right = st.columns(2)
    with left:
        _text("name", placeholder="e.g. support-answers")
    with right:
        _text("family", placeholder="made of the name")
    st.text_area(LABELS["goal"], height=90, max_chars=FIELDS["goal"].max_length, help=HELP["goal"],
                 placeholder="What should the model do better than its base?", **bound("goal", default=""))  # fmt: skip
    st.text_area(LABELS["description"], height=90, max_chars=FIELDS["description"].max_length,
                 **bound("description", default=""))  # fmt: skip


def base_model(_: Draft) -> None:
    """What to start from: a built-in model or any earlier one."""
    client = api.client()
    chosen = pick(
        LABELS["base_model"],
        "base_model",
        find=lambda q: client.models.list(q=q, limit=MAX_SHOWN).items,
        get=client.models.get,
        describe=lambda item: (
            f"{item.name} · {formatting.words(item.kind)} · {formatting.parameters(item.parameter_count)}"
        ),
    )
    if chosen:
        _model_facts(chosen)


def training_dataset(_: Draft) -> None:
    """What to learn from."""
    _dataset("training_dataset", usage="training")


def evaluation_dataset(_: Draft) -> None:
    """What to measure on."""
    st.caption("Optional. Without it the model is registered but not scored.")
    _dataset("evaluation_dataset", usage="evaluation", required=False)


def configuration(draft: Draft) -> None:
    """How to train."""
    st.segmented_control(
        LABELS["method"],
        list(METHODS),
        format_func=METHODS.__getitem__,
        required=True,
        **bound("method", default=FIELDS["method"].initial, among=METHODS),
    )
    _row(("epochs", "learning_rate", "batch_size", "max_length"))
    if draft.values["method"] == "lora":
        _row(ONLY_LORA)
    with st.expander("More settings", expanded=any(name in draft.problems for name in (*ADVANCED, MORE))):
        _row(ADVANCED)
        st.text_area(
            LABELS[MORE], height=90, help=HELP[MORE], placeholder="scheduler: cosine", **bound(MORE, default="")
        )


def _row(names: Sequence[str]) -> None:
    for name, place in zip(names, st.columns(len(names)), strict=True):
        with place:
            initial = FIELDS[name].initial
            _text(name, placeholder="chosen for the method" if initial is None else f"{initial:g}")


def show_problems(draft: Draft, names: Sequence[str]) -> None:
    """What is missing or wrong among these fields, in words."""
    for name in names:
        if name in draft.problems:
            told = f"{LABELS[name]} {draft.problems[name]}."
            # Something that was never filled in is no mistake yet.
            st.caption(told if draft.problems[name] == "is required" else f":red[{formatting.plain(told)}]")


def _text(name: str, *, placeholder: str) -> None:
    st.text_input(
        LABELS[name],
        max_chars=FIELDS[name].max_length or 40,
        help=HELP.get(name, FIELDS[name].help),
        placeholder=placeholder,
        **bound(name, default=""),
    )


def _dataset(name: str, *, usage: str, required: bool = True) -> None:
    client = api.client()
    chosen = pick(
        LABELS[name],
        name,
        find=lambda q: client.datasets.list(usage=usage, status="processed", q=q, limit=MAX_SHOWN).items,
        get=client.datasets.get,
        describe=lambda item: f"{item.name} · {formatting.count(item.rows)} rows · {item.row_format or 'unknown rows'}",
        required=required,
    )
    if chosen:
        _dataset_facts(chosen)
    else:
        panels.strip([cells.link(f"Upload a dataset for {usage}", "datasets")], key=f"{name}:upload")


def _model_facts(item: Model) -> None:
    panels.facts(
        [
            ("Model", cells.link(item.name, "model", id=item.id)),
            ("Type", formatting.words(item.kind)),
            ("Parameters", formatting.parameters(item.parameter_count)),
            ("Size", formatting.size(item.size_bytes)),
            ("Added", cells.moment(item.created_at)),
        ],
        key="base:facts",
    )


def _dataset_facts(item: Dataset) -> None:
    panels.facts(
        [
            ("Dataset", cells.link(item.name, "dataset", id=item.id)),
            ("Rows", formatting.count(item.rows)),
            ("Row format", item.row_format),
            ("Size", formatting.size(item.size_bytes)),
            ("Added", cells.moment(item.created_at)),
        ],
        key=f"{item.usage}:facts",
    )
