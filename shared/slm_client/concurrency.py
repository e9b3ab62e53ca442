"""What the two clients do differently beyond `await`, each for asyncio (`async_…`) and blocking.

The synchronous client is generated from the asynchronous one, which drops `async_` from these names.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager
from typing import TypeVar

T = TypeVar("T")

async_sleep = asyncio.sleep
sleep = time.sleep


@asynccontextmanager
async def async_entered(manager: AbstractContextManager[T]) -> AsyncIterator[T]:
    """Enter a context manager that blocks, e.g. to read files, in a thread, so that the event loop goes on."""
    with ExitStack() as stack:
        yield await asyncio.to_thread(stack.enter_context, manager)


def entered(manager: AbstractContextManager[T]) -> AbstractContextManager[T]:
    """The context manager itself: a thread that waits for it has nothing else to do."""
    return manager
