"""Questions to a starting process, asked until the answer is yes."""

import asyncio
import contextlib
from urllib.parse import urlsplit

ANSWER_TIMEOUT_S = 2.0
HTTP_OK = 200


async def http_status(url: str) -> int | None:
    """The status a GET is answered with; None when nobody answers (yet)."""
    parts = urlsplit(url)
    request = f"GET {parts.path or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n"
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
            try:
                writer.write(request.encode())
                _, status, *_ = (await reader.readline()).split()
                return int(status)
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
    except (OSError, TimeoutError, ValueError):
        return None


async def http_ok(url: str) -> bool:
    """Whether a GET is answered with 200."""
    return await http_status(url) == HTTP_OK
