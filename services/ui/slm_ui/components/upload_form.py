"""The form that brings a file to the platform."""

import re
from pathlib import PurePath
from typing import Any

import streamlit as st

from slm_ui.components import sections, uploading
from slm_ui.components.states import saved
from slm_ui.formatting import plain
from slm_ui.navigation import go, href

TYPES = ["csv", "tsv", "json", "jsonl", "ndjson", "parquet", "txt", "zip", "gz", "zst"]
HELP = "CSV, TSV, JSON, JSONL, Parquet, plain text, or a zip of images"
MAX_NAME, MAX_DESCRIPTION, MAX_COLUMN = 120, 4000, 200
USAGES = ("training", "evaluation")


def show(*, is_open: bool) -> None:
    """The form; leads to the new dataset when it was accepted."""
    sections.fold("Upload a dataset", _form, icon=":material/upload:", key="upload:form", is_open=is_open)


def _form() -> None:
    file = st.file_uploader("File", type=TYPES, key="upload:file", help=HELP)
    name_field, usage_field = st.columns(2)
    guess = _guess(file.name) if file else ""
    name = name_field.text_input(
        "Name",
        key="upload:name",
        max_chars=MAX_NAME,
        placeholder=guess or "the file's name",
        help="An upload under an existing name becomes its next version.",
    )
    usage = usage_field.segmented_control(
        "Usage", USAGES, default=USAGES[0], required=True, key="upload:usage", format_func=str.capitalize
    )
    description = st.text_area("Description", key="upload:description", max_chars=MAX_DESCRIPTION, height=80)
    columns = _columns()
    problems = _problems(file, columns)
    for problem in problems:
        st.caption(f":red[{plain(problem)}]")
    if st.button("Upload", type="primary", disabled=file is None or bool(problems), key="upload:send"):
        with saved("The file was not accepted"):
            told = description.strip() or None
            made = uploading.send(file, name=name.strip() or guess, usage=usage, description=told, **columns)
        _forget()
        go(href("dataset", id=made.id))
    uploading.offer_to_go_on(file)


def _columns() -> dict[str, str | None]:
    with st.popover("Columns", icon=":material/view_column:", help="Only needed when they are not found by themselves"):
        prompt = st.text_input("Prompt column", key="upload:prompt", max_chars=MAX_COLUMN, placeholder="e.g. question")
        answer = st.text_input(
            "Completion column", key="upload:completion", max_chars=MAX_COLUMN, placeholder="e.g. answer"
        )
    return {"prompt_column": prompt.strip() or None, "completion_column": answer.strip() or None}


def _problems(file: Any, columns: dict[str, str | None]) -> list[str]:
    problems = []
    if file is not None and file.size == 0:
        problems.append("The file is empty.")
    if columns["prompt_column"] and columns["prompt_column"] == columns["completion_column"]:
        problems.append("Prompt and completion cannot be the same column.")
    return problems


def _forget() -> None:
    """Start the form anew next time, and let go of the file."""
    for key in [key for key in st.session_state if str(key).startswith("upload:")]:
        del st.session_state[key]


def _guess(file_name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", PurePath(file_name).stem.lower()).strip("-")
