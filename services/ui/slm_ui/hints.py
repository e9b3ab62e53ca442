"""What to do about an error, in the words of the console: the wording of each `hint_code` (docs/errors.md)."""

from slm_client import SlmError
from slm_ui.formatting import plain
from slm_ui.navigation import PLACES, href

TITLES = {place.name: place.title for place in PLACES}
# A sentence, and the page that it is about.
HINTS = {
    "list_datasets": ("{} shows which there are.", "datasets"),
    "list_models": ("{} shows which there are.", "models"),
    "list_runs": ("{} shows which there are.", "runs"),
    "list_experiments": ("{} shows which there are.", "experiments"),
    "list_evaluations": ("{} shows which there are.", "evaluations"),
    "list_suites": ("Whoever runs the platform can list the benchmark suites.", "evaluations"),
    "list_aliases": ("{}: the page of the model shows where its aliases lead.", "models"),
    "reproduce_run": ("{}: the page of an experiment can reproduce it.", "experiments"),
    "upload_in_parts": ("{} sends big files in parts; or split the file.", "datasets"),
    "check_address": ("{} tells what runs. The console asks the gateway at SLM_GATEWAY_URL.", "system"),
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
