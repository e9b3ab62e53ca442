"""Ports on the loopback interface."""

import random
import socket

from slm_local.errors import PortTakenError

LOOPBACK = "127.0.0.1"
# Below the range from which Linux (32768) and macOS (49152) hand out ports to outgoing connections, which could
# otherwise take a port between its choice and its use.
FREE_PORTS = range(20000, 32000)
ATTEMPTS = 200


def is_free(port: int) -> bool:
    """Whether a server could listen on the port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: a connection that is still winding down does not count as taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def free_block(size: int = 1) -> int:
    """The first of `size` neighbouring ports that are all free."""
    for _ in range(ATTEMPTS):
        first = random.choice(FREE_PORTS)  # no secret: it only has to differ between test processes
        if all(is_free(port) for port in range(first, first + size)):
            return first
    raise PortTakenError("a server", FREE_PORTS.start)


def claim(part: str, port: int | None, *, size: int = 1) -> int:
    """The given port after a check that it and its `size - 1` neighbours are free, or free ones for None and 0."""
    if not port:
        return free_block(size)
    for wanted in range(port, port + size):
        if not is_free(wanted):
            raise PortTakenError(part, wanted)
    return port
