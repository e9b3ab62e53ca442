"""Who may reach a gateway without sign-in: this machine, but no other site's web page through its browser."""

import ipaddress
from urllib.parse import urlsplit

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def is_loopback(host: str) -> bool:
    """Whether an address or name is this machine's own."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def is_foreign_name(host_header: str) -> bool:
    """Whether a request came under a name that is not this machine's.

    A page whose name was re-pointed at 127.0.0.1 (DNS rebinding) still sends its own name here.
    """
    return not is_loopback(urlsplit(f"//{host_header}").hostname or "")


def is_foreign_write(method: str, *, origin: str | None, host_header: str) -> bool:
    """Whether a browser sends a changing request for a page of another origin (cross-site request forgery)."""
    # Programs send no Origin; browsers do with every request that changes something.
    if origin is None or method in SAFE_METHODS:
        return False
    return urlsplit(origin).netloc.lower() != host_header.lower()
