"""Requests about the platform as a whole."""

from slm_client.calls.base import Call, Nothing
from slm_client.models import Overview


def overview() -> Call[Overview]:
    """The platform at a glance."""
    return Call("GET", "/api/overview", Overview)


def events(*, types: tuple[str, ...], follow: bool) -> Call[Nothing]:
    """The live feed as server-sent events: all of them or those of these types, past ones or also new ones."""
    params = {"follow": "true" if follow else "false"}
    return Call("GET", "/api/events", Nothing, params={**params, **({"types": ",".join(types)} if types else {})})
