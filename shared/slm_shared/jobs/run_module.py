"""`python -m slm_shared.jobs.run_module MODULE ARGUMENT...`: MODULE's `main`, for processes that import much.

An import makes objects by the hundred thousand and hardly any garbage. The collector looks at them again and again
nevertheless: 0.8 of the 3.6 s that it takes to import what trains.
"""

import gc
import os
import sys
import traceback
from importlib import import_module
from types import ModuleType


def load(module: str) -> ModuleType:
    """Import a module with the garbage collector off. What is there then is never looked at again."""
    gc.disable()
    loaded = import_module(module)
    gc.collect()
    gc.freeze()
    gc.enable()
    return loaded


def main(module: str, *arguments: str) -> None:
    """Run `main` of a module, which returns the exit status."""
    loaded = load(module)
    sys.argv = [module, *arguments]
    status = 1
    try:
        status = loaded.main()
    except Exception:  # noqa: BLE001  the edge of the process
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    # Everything is written and said; taking the interpreter and its modules apart would only take another second.
    os._exit(status)


if __name__ == "__main__":
    main(*sys.argv[1:])
