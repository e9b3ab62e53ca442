"""The files of a model, and every way to take them along."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from slm_client.models import Model
from slm_ui import downloads, formatting
from slm_ui.components import cells, panels
from slm_ui.components.view import draw

ADAPTER = "adapter/"


def show(model: Model, files: Sequence[Mapping[str, Any]]) -> None:
    """Archives of all or a part, and each file with its hash."""
    _archives(model, files)
    rows = [
        cells.row(
            file["path"],
            cells.mono(file["path"]) | {"href": downloads.file_url(model.id, file["path"]), "download": True},
            formatting.size(file["size_bytes"]),
            cells.mono(file["sha256"]),
        )
        for file in files
    ]
    head = ["File", cells.column("Size", align="right"), "SHA-256"]
    draw(cells.table("Files", head, rows), key="files")


def _archives(model: Model, files: Sequence[Mapping[str, Any]]) -> None:
    """Each unpacks to a folder that transformers loads; the parts exist where there is a LoRA adapter."""
    adapter = sum(file["size_bytes"] for file in files if file["path"].startswith(ADAPTER))
    total = sum(file["size_bytes"] for file in files)
    rows = [_archive(model, "all", "Everything", "Every file below.", total)]
    if adapter:
        rows += [
            _archive(model, "merged", "Merged model", "The model with its adapter worked in; loads by itself.",
                     total - adapter),
            _archive(model, "adapter", "Adapter only", "The LoRA weights, for PEFT on top of the base model.", adapter),
        ]  # fmt: skip
    head = ["Archive", "What is in it", cells.column("Size", align="right")]
    draw(cells.table("Archives", head, rows), key="files:archives")
    told = "Each archive is a tar file. It unpacks to a folder in the layout of Hugging Face."
    st.caption(told)
    panels.strip(["On the command line:", cells.mono(f"slm models download {model.name}")], key="files:command")


def _archive(model: Model, part: str, name: str, told: str, size_bytes: int) -> dict[str, Any]:
    link = {"text": name, "href": downloads.model_url(model.id, part=part), "download": True}
    return cells.row(part, link, told, formatting.size(size_bytes))
