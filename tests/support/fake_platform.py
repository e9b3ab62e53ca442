"""A small platform on loopback that behaves as each test needs: what the client meets is real HTTP."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

NAMES = {"id": "0190", "name": "commands-v1"}


@dataclass
class FakePlatform:
    """Answers from a script, then 404; keeps what it was asked."""

    address: str = ""
    script: list[Response] = field(default_factory=list)
    asked: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)

    def will_answer(self, *bodies: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        """Add answers to the script."""
        self.script += [JSONResponse(body, status_code=status, headers=headers) for body in bodies]

    def will_refuse(self, status: int, code: str, *, headers: dict[str, str] | None = None, **more: Any) -> None:
        """Add a problem to the script."""
        body = {"type": "about:blank", "title": code, "status": status, "code": code, "request_id": "r-1", **more}
        self.script.append(
            JSONResponse(body, status_code=status, headers=headers, media_type="application/problem+json")
        )

    def will_stream(self, *parts: str, media_type: str = "text/event-stream") -> None:
        """Add a streamed answer to the script."""

        async def stream() -> AsyncIterator[str]:
            for part in parts:
                yield part

        self.script.append(StreamingResponse(stream(), media_type=media_type))

    def headers(self, name: str) -> list[str | None]:
        """One header of every request so far."""
        return [headers.get(name) for _, _, headers, _ in self.asked]

    async def answer(self, request: Request) -> Response:
        """Serve one request."""
        target = request.scope["raw_path"].decode() + (f"?{request.url.query}" if request.url.query else "")
        self.asked.append((request.method, target, dict(request.headers), await request.body()))
        if self.script:
            return self.script.pop(0)
        return JSONResponse({"status": 404, "detail": "No such thing.", "code": "not_found"}, status_code=404)
