"""Ports on the loopback interface."""

import random
import socket
from collections.abc import Callable, Sequence

from slm_local.errors import PortTakenError

LOOPBACK = "127.0.0.1"
# These, and the same plus the 10000 that S3 needs, lie below the range from which Linux (32768) and macOS (49152) hand
# out ports to outgoing connections, which could otherwise take a port between its choice and its use.
FREE_PORTS = range(19000, 22700)
ATTEMPTS = 200
# The descriptor of a UDP socket on each chosen port, held while this process lives: between the choice of a port and
# its use by a server passes a second, in which no other process shall choose it too. (UDP's ports are not TCP's.)
_reservations: list[int] = []


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


def free_port(offsets: Sequence[int] = (0,), *, fits: Callable[[int], bool] = lambda _: True) -> int:
    """A port that `fits` and from which all `offsets` lead to a free one."""
    for _ in range(ATTEMPTS):
        port = random.choice(FREE_PORTS)  # no secret: it only has to differ between test processes
        if not fits(port):
            continue
        if all(is_free(port + offset) for offset in offsets) and _reserve([port + offset for offset in offsets]):
            return port
    raise PortTakenError("a server", FREE_PORTS.start)


def _reserve(ports: Sequence[int]) -> bool:
    made: list[socket.socket] = []
    for port in ports:
        reservation = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.append(reservation)
        try:
            reservation.bind((LOOPBACK, port))
        except OSError:
            for each in made:
                each.close()
            return False
    _reservations.extend(each.detach() for each in made)
    return True


def claim(part: str, port: int | None, *, offsets: Sequence[int] = (0,)) -> int:
    """The given port after a check that it is free, with all `offsets`; any such port for None and 0."""
    if not port:
        return free_port(offsets)
    for offset in offsets:
        if not is_free(port + offset):
            raise PortTakenError(part, port + offset)
    return port
