"""Which headers pass the gateway.

Hop-by-hop headers end here (RFC 9110 section 7.6.1). Whatever speaks of an identity ends here too: services believe the
principal that the gateway signs and nothing else, and must not even see what a client claims about itself.
"""

from collections.abc import Iterable

HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer transfer-encoding"
    b" upgrade".split()
)
IDENTITY = frozenset(b"authorization cookie forwarded remote-user slm-principal x-client-cert x-real-ip".split())
IDENTITY_PREFIXES = (b"x-auth", b"x-forwarded-", b"x-remote-", b"x-role", b"x-slm-", b"x-user")
SET_HERE = frozenset({b"host", b"expect", b"x-request-id", b"traceparent"})
NOT_UPSTREAM = HOP_BY_HOP | IDENTITY | SET_HERE
NOT_DOWNSTREAM = HOP_BY_HOP | {b"date", b"server", b"set-cookie"}

RawHeaders = Iterable[tuple[bytes, bytes]]


def is_identity(name: bytes) -> bool:
    """Whether a header (lower case) claims who is asking."""
    return name in IDENTITY or name.startswith(IDENTITY_PREFIXES)


def to_upstream(headers: RawHeaders) -> list[tuple[str, str]]:
    """The headers of a request that its service may see."""
    named = _named_by_connection(headers)
    return [
        (name.decode("latin-1"), value.decode("utf-8", "replace"))
        for name, value in headers
        if name not in NOT_UPSTREAM and not name.startswith(IDENTITY_PREFIXES) and name not in named
    ]


def to_client(headers: RawHeaders) -> list[tuple[bytes, bytes]]:
    """The headers of a service's answer that its client may see."""
    lowered = [(name.lower(), value) for name, value in headers]
    named = _named_by_connection(lowered)
    return [(name, value) for name, value in lowered if name not in NOT_DOWNSTREAM and name not in named]


def _named_by_connection(headers: RawHeaders) -> frozenset[bytes]:
    """The headers that the Connection header declares to be for one hop only."""
    for name, value in headers:
        if name == b"connection":
            return frozenset(option.strip().lower() for option in value.split(b","))
    return frozenset()
