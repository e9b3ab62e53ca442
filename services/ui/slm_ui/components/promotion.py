"""Making a model the champion of its family: on what evidence, and the way back."""

from functools import partial

import streamlit as st

from slm_client.models import Model
from slm_ui import api, formatting
from slm_ui.components import cells, panels
from slm_ui.components.confirm import ask
from slm_ui.components.states import saved
from slm_ui.components.view import draw
from slm_ui.formatting import plain


def show(model: Model) -> None:
    """Every condition of the policy, the promotion, and what happened to the model so far."""
    client = api.client()
    if "champion" in model.aliases:
        st.success(f"{plain(model.name)} is the champion of its family.", icon=":material/trophy:")
        if st.button("Go back to the champion before", icon=":material/undo:", key="champion:back"):
            text = "The alias champion leads to the model it led to before."
            ask("Go back?", text, verb="Go back", do=partial(client.models.roll_back, model.id))
    else:
        check = client.models.check_promotion(model.id)
        rival = f" in place of {check.rival}" if check.rival else ""
        st.caption(plain(f"To become champion{rival} every condition has to hold."))
        rows = [
            {
                "id": str(each.get("condition")),
                "cells": [
                    formatting.words(each.get("condition")),
                    cells.badge("holds", tone="good") if each.get("holds") else cells.badge("fails", tone="bad"),
                    each.get("finding"),
                ],
            }
            for each in check.conditions
        ]
        head = [cells.column("Condition"), cells.column(""), cells.column("What was found")]
        draw(cells.table("Conditions", head, rows), key="promotion:conditions")
        if st.button("Make it champion", type="primary", key="promote", disabled=not check.allowed):
            with saved("It was not promoted"):
                client.models.promote(model.id)
            st.rerun()
    _verify(model)
    _timeline(model)


def _timeline(model: Model) -> None:
    happened = api.client().models.timeline(model.id).items
    if happened:
        st.subheader("What happened", anchor=False)
        panels.timeline(
            [
                {
                    "title": formatting.words(each.type.replace(".", " ")).capitalize(),
                    "time": each.at.isoformat() if each.at else None,
                    "tone": "bad" if "regressed" in each.type else "idle",
                }
                for each in reversed(happened)
            ],
            key="model:timeline",
        )


def _verify(model: Model) -> None:
    if st.button("Check every file", icon=":material/verified:", key="verify"):
        with saved("The files were not checked"), st.spinner("Reading every file back"):
            found = api.client().models.verify(model.id)
        if found.intact:
            signed = "and the signature holds" if found.signed else "and there is no signature"
            st.success(f"{found.files:,} files, {formatting.size(found.size_bytes)}: as they were made, {signed}.")
        else:
            st.error("\n\n".join(map(plain, found.problems)), title="The files are not what was registered")
