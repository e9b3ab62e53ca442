"""The last step of the wizard: everything at a glance, and the launch; and the draft as a file."""

import hashlib
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import streamlit as st

from slm_client import SlmClient, SlmError
from slm_client.models import Dataset, Model, Plan
from slm_ui import api, formatting
from slm_ui.components import cells, panels, plan, sections
from slm_ui.components.address import put
from slm_ui.components.states import saved, tell
from slm_ui.components.wizard_steps import CONFIGURATION, LABELS, show_problems
from slm_ui.draft import ALIASES, FIELDS, MORE, ONLY_LORA, Draft, FileError, from_yaml
from slm_ui.navigation import go, href


def review(draft: Draft) -> None:
    """A read-only summary and the launch button, which works once nothing is missing."""
    is_there = _inputs(draft)
    settings = [(LABELS[name], _value(draft, name)) for name in _shown(draft)]
    others = [(formatting.words(name).capitalize(), formatting.as_text(value)) for name, value in draft.more.items()]
    panels.facts([*settings, *others], key="review:configuration")
    show_problems(draft, list(FIELDS))
    can_plan = not draft.problems and is_there
    found = plan.show(draft.body()) if can_plan else None
    can_launch = found is not None and found.status != "refused"
    if st.button("Launch", type="primary", icon=":material/rocket_launch:", key="launch", disabled=not can_launch):
        _launch(draft, found)


def _shown(draft: Draft) -> list[str]:
    hidden = (MORE,) if draft.values["method"] == "lora" else (*ONLY_LORA, MORE)
    return [name for name in CONFIGURATION if name not in hidden]


def _value(draft: Draft, name: str) -> str:
    value = draft.values[name]
    return "chosen for the method" if value is None else formatting.as_text(value)


def _inputs(draft: Draft) -> bool:
    """The names of what was chosen; False when some of it is not there any more."""
    questions: dict[str, tuple[str, Callable[[SlmClient], Dataset | Model]]] = {
        "base_model": ("model", lambda client: client.models.get(draft.values["base_model"])),
        "training_dataset": ("dataset", lambda client: client.datasets.get(draft.values["training_dataset"])),
        "evaluation_dataset": ("dataset", lambda client: client.datasets.get(draft.values["evaluation_dataset"])),
    }
    asked = {name: api.soon(ask) for name, (_, ask) in questions.items() if draft.values[name]}
    items: list[tuple[str, Any]] = [
        (LABELS[name], draft.values[name]) for name in ("name", "family") if draft.values[name]
    ]
    is_there = True
    for name, (page, _) in questions.items():
        try:
            found = asked[name].result() if name in asked else None
        except SlmError as error:
            if api.is_away(error):
                raise
            tell(error, what=f"{LABELS[name]}: what was chosen is not there")
            found, is_there = None, False
        items.append((LABELS[name], cells.link(found.name, page, id=found.id) if found else None))
    for name in ("goal", "description"):
        if draft.values[name]:
            items.append((LABELS[name], cells.long(draft.values[name])))
    panels.facts(items, key="review:inputs")
    return is_there


def _launch(draft: Draft, found: Plan | None) -> None:
    """As planned, to the content hash; before the plan is there, as filled in. Pressed twice it is one launch."""
    body, runs = draft.body(), api.client().runs
    same = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:16]
    key = f"console-{st.query_params['draft']}-{same}"
    if known := st.session_state.get(f"launched:{key}"):
        go(href("experiment", id=known))
    with saved("The run was not launched"):
        if found is not None and found.status == "ready":
            run = runs.launch_plan(found.id, idempotency_key=key)
        else:
            run = runs.launch(body, idempotency_key=key)
    st.session_state[f"launched:{key}"] = run.experiment_id
    st.toast("Launched")
    go(href("experiment", id=run.experiment_id))


def as_file(draft: Draft) -> None:
    """The draft as YAML, and YAML as a draft."""
    sections.fold("As a file", partial(_as_file, draft), icon=":material/description:", key="file:form")


def _as_file(draft: Draft) -> None:
    st.caption("The same settings for `slm train`.")
    st.code(draft.as_yaml(), language="yaml")
    st.download_button("Download", draft.as_yaml(), file_name="run.yaml", mime="text/yaml", on_click="ignore",
                       icon=":material/download:", key="yaml:download")  # fmt: skip
    file = st.file_uploader("Fill the form from a YAML file", type=["yaml", "yml"], key="yaml:file", max_upload_size=1)
    if file is not None and st.button("Use this file", key="yaml:use"):
        try:
            found = from_yaml(file.getvalue(), aliases=ALIASES)
        except FileError as error:
            st.error(f"The file {formatting.plain(error)}.", icon=":material/error:")
            return
        put(dict.fromkeys(FIELDS) | found)
        st.rerun()
