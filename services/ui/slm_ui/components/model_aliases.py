"""The aliases of a model's family: where they lead, how they moved, and moving one."""

from functools import partial

import streamlit as st

from slm_client.models import Model
from slm_ui import api
from slm_ui.components import cells, panels
from slm_ui.components.confirm import ask
from slm_ui.components.states import saved
from slm_ui.components.view import draw
from slm_ui.formatting import plain

MAX_ALIAS = 40


def show(model: Model) -> None:
    """Where the aliases lead now, and their moves."""
    found = api.client().models.aliases(model.id)
    rows = [
        cells.row(
            alias.name,
            cells.badge(alias.name, tone="accent"),
            cells.link(alias.model, "model", id=alias.model_id) if alias.model_id else alias.model,
            cells.moment(alias.moved_at),
        )
        for alias in found.aliases
    ]
    if rows:
        head = ["Alias", "Leads to", "Since"]
        draw(cells.table("Aliases", head, rows), key="aliases")
    else:
        panels.empty("No aliases yet", "An alias is a name that can move, such as production.", key="aliases:none")
    _point(model)
    own = [alias.name for alias in found.aliases if alias.model_id == model.id and alias.name not in FIXED]
    _remove(model, own)
    if found.history:
        st.subheader("Moves", anchor=False)
        panels.timeline(
            [
                {
                    "title": f"{move.alias}: {move.previous or 'nowhere'} to {move.model or 'nowhere'}",
                    "time": move.moved_at.isoformat() if move.moved_at else None,
                    "detail": " · ".join(part for part in (move.moved_by, move.reason) if part) or None,
                }
                for move in found.history
            ],
            key="aliases:moves",
        )


FIXED = {"latest", "champion"}


def _point(model: Model) -> None:
    place = st.container(horizontal=True, vertical_alignment="bottom")
    alias = place.text_input("Alias", key="alias:name", max_chars=MAX_ALIAS, placeholder="e.g. production", width=240)
    if place.button("Point it here", key="alias:point", disabled=not alias.strip()):
        with saved("The alias was not moved"):
            api.client().models.point_alias(model.id, alias.strip())
        st.rerun()


def _remove(model: Model, names: list[str]) -> None:
    for name in names:
        if st.button(f"Remove {plain(name)}", key=f"alias:remove:{name}", icon=":material/label_off:"):
            do = partial(api.client().models.remove_alias, model.id, name)
            ask("Remove the alias?", f"{name} no longer leads to {model.name}.", verb="Remove", do=do)
