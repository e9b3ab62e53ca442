"""Places where a process can be made to die, to prove that dying there loses nothing.

`SLM_FAILPOINT=<name>:<share>` ends the process, as `kill -9` would, in that share of the times it comes by. Without the
variable a failpoint costs one comparison.
"""

import os
import random

_NAME, _, _SHARE = os.environ.get("SLM_FAILPOINT", "").partition(":")
EXIT_CODE = 137


def failpoint(name: str) -> None:
    """Die here if this is the place."""
    if name == _NAME and random.random() < float(_SHARE or 1):
        os._exit(EXIT_CODE)
