"""The `slm` command.

Results go to standard output (JSON with `--json`), progress and errors to standard error. Exit codes: 0 done, 1 a job
failed, 2 wrong use or bad input, 3 not found or in conflict, 4 the platform cannot be reached, 130 interrupted.
"""

from slm_client.cli.main import main

__all__ = ["main"]
