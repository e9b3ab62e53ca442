"""A training service as far as its trainers can tell."""

import json
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Request, Response


@dataclass
class LeaseService:
    """Speaks the lease API of the training service for one queue of leases and notes everything it is told."""

    leases: list[dict[str, Any]] = field(default_factory=list)
    told: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    refuse: set[str] = field(default_factory=set)
    unavailable: set[str] = field(default_factory=set)
    cancel: bool = False

    def said(self, verb: str) -> dict[str, Any] | None:
        """The last body of one verb, or None."""
        return next((body for known, body in reversed(self.told) if known == verb), None)

    def answer(self, verb: str, body: dict[str, Any]) -> Response:
        """What the service would answer."""
        if verb in self.unavailable:
            return Response(status_code=503)
        self.told.append((verb, body))
        if verb in self.refuse:
            return Response('{"code": "lease_lost"}', 409, media_type="application/problem+json")
        if verb == "claim":
            lease = self.leases.pop(0) if self.leases else None
            return Response(json.dumps(lease), media_type="application/json") if lease else Response(status_code=204)
        if verb == "heartbeat":
            return Response(json.dumps({"cancel": self.cancel, "drain": False}), media_type="application/json")
        return Response(status_code=204)

    def app(self) -> FastAPI:
        """The service as an application."""
        app = FastAPI()

        @app.post("/{path:path}")
        async def post(request: Request, path: str) -> Response:
            return self.answer(path.rsplit(":", 1)[1], await request.json())

        return app
