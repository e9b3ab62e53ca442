"""`python -m slm_local.gate FD LOCK MODULE ARGUMENT...`: import MODULE now, run it when the gate opens.

Importing is most of a start, and needs none of the things a service has to wait for. The gate is a pipe that nobody
writes to: it opens when its other end is closed. Who holds the file LOCK imports: one after the other they are done as
soon as all at once, and leave a core to the trainer, whose start takes longest.
"""

import fcntl
import os
import sys

from slm_shared.jobs.run_module import load


def main(gate: int, lock: str, module: str, *arguments: str) -> None:
    """Import, wait, run."""
    with open(lock, "a") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        loaded = load(module)
    os.read(gate, 1)
    os.close(gate)
    sys.argv = [module, *arguments]
    loaded.main()


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
