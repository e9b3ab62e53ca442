"""A TCP proxy that can be slow, deaf or rude: stands between a service and a server."""

import asyncio
import contextlib

CHUNK_BYTES = 64 * 1024


class Proxy:
    """Passes bytes between `port` and `target_port` on the loopback interface.

    `delay_s` slows every chunk; `hold` stops all bytes without closing anything (a black hole); `cut` breaks what is
    connected; `cut_replies_after` breaks a connection once that many bytes of replies have passed.
    """

    def __init__(self, port: int, target_port: int) -> None:
        self.port = port
        self._target_port = target_port
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.delay_s = 0.0
        self.cut_replies_after: int | None = None

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def close(self) -> None:
        """Close everything."""
        self.flow()
        if self._server is not None:
            self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def hold(self) -> None:
        """Pass nothing more on; connections stay open."""
        self._flowing.clear()

    def flow(self) -> None:
        """Pass everything on again, without delay."""
        self.delay_s, self.cut_replies_after = 0.0, None
        self._flowing.set()

    def cut(self) -> None:
        """Break every connection."""
        for writer in self._writers:
            writer.transport.abort()

    def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._join(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._flowing.wait()
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, server_writer}
        try:
            await asyncio.gather(
                self._pass(reader, server_writer, replies=False), self._pass(server_reader, writer, replies=True)
            )
        finally:
            for each in (writer, server_writer):
                self._writers.discard(each)
                each.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, replies: bool) -> None:
        passed = 0
        with contextlib.suppress(ConnectionError):
            while chunk := await reader.read(CHUNK_BYTES):
                await self._flowing.wait()
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                passed += len(chunk)
                if replies and self.cut_replies_after is not None and passed > self.cut_replies_after:
                    break
                writer.write(chunk)
                await writer.drain()
        # Both directions end together: nobody here speaks on after having said goodbye.
        writer.close()
        reader.feed_eof()
