"""The client for asyncio; scripts/generate_sync_client.py makes `slm_client.synchronous` of this package."""

from slm_client.asynchronous.client import AsyncSlmClient
from slm_client.asynchronous.connection import Download

__all__ = ["AsyncSlmClient", "Download"]
