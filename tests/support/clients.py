"""Asking a platform through either client, so that a test runs with both."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from slm_client import AsyncSlmClient, SlmClient
from slm_client.retrying import RetryPolicy

QUICK = RetryPolicy(attempts=3, first_delay_s=0.01, max_delay_s=0.02)

Question = Callable[[Any], Any]


@dataclass(frozen=True)
class Ask:
    """`await ask(lambda client: client.runs.get("1"))` gives what the client answers, whichever of the two it is."""

    address: str
    client: type[AsyncSlmClient] | type[SlmClient]

    async def __call__(self, question: Question, *, first: int | None = None) -> Any:
        """The answer; of an iterator a list of its items, all or the `first` ones."""
        if self.client is AsyncSlmClient:
            return await self._awaited(question, first)
        # In a thread, so that the server beside it can answer.
        return await asyncio.to_thread(self._called, question, first)

    async def _awaited(self, question: Question, first: int | None) -> Any:
        async with AsyncSlmClient(self.address, retry=QUICK) as client:
            answer = question(client)
            if not isinstance(answer, AsyncIterator):
                return await answer
            items: list[Any] = []
            async for item in answer:
                items.append(item)
                if len(items) == first:
                    break
            await answer.aclose()  # type: ignore[attr-defined]  # it is a generator
            return items

    def _called(self, question: Question, first: int | None) -> Any:
        with SlmClient(self.address, retry=QUICK) as client:
            answer = question(client)
            return list(islice(answer, first)) if isinstance(answer, Iterator) else answer
