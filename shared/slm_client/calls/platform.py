"""Requests about the platform as a whole."""

from slm_client.calls.base import Call
from slm_client.models import (
    Overview,
)


def overview() -> Call[Overview]:
    """The platform at a glance."""
    return Call("GET", "/api/overview", Overview)
