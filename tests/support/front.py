"""Stands in front of a gateway: writes down what it is asked, and refuses some of it as if a service were away."""

import contextlib
import http.client
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from urllib.parse import urlsplit

CHUNK_BYTES = 64 * 1024
HOP_BY_HOP = {"connection", "transfer-encoding", "keep-alive", "host"}


class Front:
    """Passes requests on to `gateway`; `asked` has each as method and path, `refused` is a pattern of such texts."""

    def __init__(self, gateway: str) -> None:
        self.asked: list[str] = []
        self.refused: str | None = None
        self._target = urlsplit(gateway).netloc
        self._lock = Lock()

    def take(self, method: str, path: str) -> bool:
        """Write a request down; False when it is refused."""
        request = f"{method} {path}"
        with self._lock:
            self.asked.append(request)
        return self.refused is None or re.search(self.refused, request) is None

    def pass_on(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer as the gateway does."""
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        if not self.take(handler.command, handler.path):
            handler.send_error(503)
            return
        connection = http.client.HTTPConnection(self._target, timeout=60)
        try:
            headers = {name: value for name, value in handler.headers.items() if name.lower() not in HOP_BY_HOP}
            connection.request(handler.command, handler.path, body or None, headers)
            answer = connection.getresponse()
            handler.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in HOP_BY_HOP:
                    handler.send_header(name, value)
            handler.send_header("Connection", "close")
            handler.end_headers()
            # A live feed has no end: what arrives goes on at once, until the reader leaves.
            with contextlib.suppress(ConnectionError):
                while chunk := answer.read1(CHUNK_BYTES):
                    handler.wfile.write(chunk)
                    handler.wfile.flush()
        finally:
            connection.close()


@contextmanager
def in_front_of(gateway: str) -> Iterator[tuple[Front, str]]:
    """A front and its address."""
    front = Front(gateway)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            self.raw_requestline = self.rfile.readline(65537)
            self.close_connection = True
            if self.raw_requestline and self.parse_request():
                front.pass_on(self)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: `asked` is the log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield front, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
