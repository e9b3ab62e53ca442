"""The wizard: six steps to a training run. Every answer stands in the address."""

from collections.abc import Callable
from uuid import uuid4

import streamlit as st

from slm_ui.components import panels, wizard_review, wizard_steps
from slm_ui.components.address import bound, put, value_of
from slm_ui.draft import Draft

STEP, KEY = "step", "draft"
STEPS: tuple[tuple[str, Callable[[Draft], None], tuple[str, ...]], ...] = (
    ("Details", wizard_steps.details, ("name", "goal", "description", "family")),
    ("Base model", wizard_steps.base_model, ("base_model",)),
    ("Training data", wizard_steps.training_dataset, ("training_dataset",)),
    ("Evaluation data", wizard_steps.evaluation_dataset, ("evaluation_dataset",)),
    ("Configuration", wizard_steps.configuration, wizard_steps.CONFIGURATION),
    ("Review", wizard_review.review, ()),
)


def main() -> None:
    """The page."""
    # Under its key the platform recognises the same launch, however often the button is pressed.
    initial = {KEY: uuid4().hex, "base_model": wizard_steps.DEFAULT_BASE}
    put({name: value for name, value in initial.items() if name not in st.query_params})
    panels.head("Train model", text="Six short steps. Nothing starts before you launch it at the end.")
    number = min(len(STEPS), max(1, value_of(STEP, default=1, read=int)))
    current = Draft(st.query_params.to_dict())
    _steps(current)
    title, show, fields = STEPS[number - 1]
    st.subheader(f"{number}. {title}", anchor=False)
    show(current)
    # What was just chosen counts already.
    current = Draft(st.query_params.to_dict())
    wizard_steps.show_problems(current, fields)
    _move(number, is_complete=not any(name in current.problems for name in fields))
    wizard_review.as_file(current)


def _steps(current: Draft) -> None:
    """Where one is, and what is still open; each step can be gone to."""
    labels = {}
    for index, (title, _, fields) in enumerate(STEPS, start=1):
        is_open = any(name in current.problems for name in fields)
        mark = ":material/radio_button_unchecked:" if is_open else ":material/check_circle:"
        labels[index] = f"{'' if index == len(STEPS) else mark} {index} {title}"
    st.segmented_control(
        "Step",
        list(labels),
        format_func=labels.__getitem__,
        required=True,
        label_visibility="collapsed",
        **bound(STEP, default=1, read=int, among=labels),
    )


def _move(number: int, *, is_complete: bool) -> None:
    row = st.container(horizontal=True)
    if number > 1:
        row.button("Back", icon=":material/arrow_back:", key="back", on_click=_go, args=(number - 1,))
    if number < len(STEPS):
        row.button(
            "Continue",
            type="primary",
            icon=":material/arrow_forward:",
            icon_position="right",
            key="next",
            disabled=not is_complete,
            on_click=_go,
            args=(number + 1,),
        )


def _go(number: int) -> None:
    put({STEP: number})


main()
