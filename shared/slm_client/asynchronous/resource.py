"""What the resources of the client share."""

from slm_client.asynchronous.connection import AsyncConnection


class AsyncResource:
    """Methods about one kind of thing, sent over a connection."""

    def __init__(self, client: AsyncConnection) -> None:
        self._client = client
