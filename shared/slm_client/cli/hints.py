"""What to do about an error, in commands: the wording of each `hint_code` (docs/errors.md)."""

HINTS = {
    "list_datasets": "`slm datasets list` shows which there are.",
    "list_models": "`slm models list` shows which there are.",
    "list_runs": "`slm runs list` shows which there are.",
    "list_experiments": "`slm experiments list` shows which there are.",
    "list_evaluations": "`slm evaluations list` shows which there are.",
    "list_suites": "`slm evaluations suites` shows which there are.",
    "list_aliases": "`slm models aliases MODEL` shows where they lead.",
    "reproduce_run": "`slm runs reproduce RUN` makes one.",
    "upload_in_parts": "`slm datasets upload FILE` sends big files in parts; or split the file.",
    "check_address": "start it with `slm up`, or give its address with --gateway or SLM_GATEWAY_URL",
}
