"""What the console says to do about an error: where in it that is done."""

import pytest

from slm_client import SlmError
from slm_ui.hints import hint_of, linked_hint_of


@pytest.mark.parametrize(
    ("code", "text", "markdown"),
    [
        ("list_runs", "The page Training runs lists them.", "The page [Training runs](runs) lists them."),
        ("of_a_newer_platform", "Do [so](x).", r"Do \[so\]\(x\)\."),
        (None, "Do [so](x).", r"Do \[so\]\(x\)\."),
    ],
)
def test_a_hint_with_a_known_code_leads_to_a_page(code: str | None, text: str, markdown: str) -> None:
    error = SlmError("no such run", status=404, hint="Do [so](x).", hint_code=code)
    assert hint_of(error) == text
    assert linked_hint_of(error) == markdown


def test_no_hint_is_none() -> None:
    assert (hint_of(SlmError("broken")), linked_hint_of(SlmError("broken"))) == (None, None)
