"""What to do about an error, in the words of the console: the wording of each `hint_code` (docs/errors.md)."""

from slm_client import SlmError
from slm_ui.formatting import plain
from slm_ui.navigation import PLACES, href

TITLES = {place.name: place.title for place in PLACES}
# A sentence, and the page that it is about.
HINTS = {
    "list_datasets": ("The page {} lists them.", "datasets"),
    "list_models": ("The page {} lists them.", "models"),
    "list_runs": ("The page {} lists them.", "runs"),
    "list_experiments": ("The page {} lists them.", "experiments"),
    "list_evaluations": ("The page {} lists them.", "evaluations"),
    "list_suites": ("Ask the administrator of the platform which benchmark suites there are.", "evaluations"),
    "list_aliases": ("Open the model under {}: its page shows the aliases.", "models"),
    "reproduce_run": ("Open the experiment under {}: its page has a button to reproduce it.", "experiments"),
    "upload_in_parts": ("Upload it under {}, which sends big files in parts, or split the file.", "datasets"),
    "check_address": (
        "The page {} shows which services answer. The console asks the gateway at SLM_GATEWAY_URL.",
        "system",
    ),
}


def hint_of(error: SlmError) -> str | None:
    """What to do, as text."""
    if error.hint_code not in HINTS:
        return error.hint
    sentence, page = HINTS[error.hint_code]
    return sentence.format(TITLES[page])


def linked_hint_of(error: SlmError) -> str | None:
    """What to do, as markdown with a link to the page where that is done."""
    if error.hint_code not in HINTS:
        return plain(error.hint) if error.hint else None
    sentence, page = HINTS[error.hint_code]
    return sentence.format(f"[{TITLES[page]}]({href(page)})")
