"""Making a model the champion of its family: on what evidence, and the way back."""

from collections.abc import Sequence
from functools import partial

import streamlit as st

from slm_client.models import Model
from slm_ui import api, formatting
from slm_ui.components import cells, panels
from slm_ui.components.confirm import ask
from slm_ui.components.states import saved
from slm_ui.components.view import draw
from slm_ui.formatting import plain

MAX_REASON = 500


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
            cells.row(
                str(each.get("condition")),
                formatting.words(each.get("condition")),
                cells.badge("holds", tone="good") if each.get("holds") else cells.badge("fails", tone="bad"),
                each.get("finding"),
            )
            for each in check.conditions
        ]
        head = ["Condition", "", "What was found"]
        draw(cells.table("Conditions", head, rows), key="promotion:conditions")
        with st.container(horizontal=True):
            if st.button("Make it champion", type="primary", key="promote", disabled=not check.allowed):
                with saved("It was not promoted"):
                    client.models.promote(model.id)
                st.rerun()
            if not check.allowed and st.button("Promote anyway", icon=":material/gavel:", key="promote:force"):
                _by_force(model, [formatting.words(each["condition"]) for each in check.conditions
                                  if not each.get("holds")])  # fmt: skip
    _verify(model)
    _timeline(model)


@st.dialog("Promote although conditions fail")
def _by_force(model: Model, failed: Sequence[str]) -> None:
    """Against the policy, by an administrator, with a reason that is kept with the move of the alias."""
    st.warning(plain(f"What does not hold: {', '.join(failed)}."), icon=":material/warning:")
    reason = st.text_area("Reason", key="promote:reason", max_chars=MAX_REASON, height=90,
                          placeholder="Why is it right all the same?")  # fmt: skip
    st.caption("The reason and the findings are kept with the promotion; everybody can read them under Aliases.")
    if st.button(f"Promote {plain(model.name)}", type="primary", key="promote:forced", disabled=not reason.strip()):
        with saved("It was not promoted"):
            api.client().models.promote(model.id, reason=reason.strip(), force=True)
        st.rerun()


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
