"""The front door: every request passes here first, is given an identity, and is handed on or served by the gateway."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from slm_gateway.api.forwarding import Forwarder, refuse
from slm_gateway.api.sockets import ProgressSockets
from slm_gateway.domain.access import is_foreign_name, is_foreign_write
from slm_gateway.domain.headers import is_identity
from slm_gateway.domain.routing import owner_of
from slm_gateway.errors import OriginNotAllowedError
from slm_gateway.service.upstreams import Upstreams
from slm_gateway.settings import GatewaySettings
from slm_shared.errors import PlatformError
from slm_shared.http.requests import REQUEST_ID, request_id_of
from slm_shared.identity.principal import HEADER, Principal, Role

LOCAL_ADMIN = Principal(subject="local", role=Role.ADMIN)
"""Whoever reaches the gateway, until there is sign-in."""

AUDIENCE = "gateway"


class Front:
    """Stands before the gateway's own application and lets through to it only what it does not forward."""

    def __init__(self, own: ASGIApp, *, forwarder: Forwarder, upstreams: Upstreams, settings: GatewaySettings) -> None:
        self._own = own
        self._forwarder = forwarder
        self._upstreams = upstreams
        self._only_this_machine = not settings.allow_remote
        self._sockets = ProgressSockets(upstreams, only_this_machine=self._only_this_machine)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "websocket":
            await self._sockets.serve(scope, receive, send, principal=LOCAL_ADMIN)
            return
        if scope["type"] != "http":
            await self._own(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = request_id_of(headers)
        try:
            principal = self._identify(scope["method"], headers)
            service = owner_of(scope["path"])
            if service is None:
                await self._own(self._with_identity(scope, principal, request_id), receive, send)
                return
        except PlatformError as error:
            await refuse(error, scope, receive, send, request_id=request_id)
            return
        await self._forwarder.forward(scope, receive, send, service=service, principal=principal, request_id=request_id)

    def _identify(self, method: str, headers: Headers) -> Principal:
        """Who is asking. Raises OriginNotAllowedError for what a strange web page makes a browser send."""
        host = headers.get("host", "")
        if self._only_this_machine and is_foreign_name(host):
            raise OriginNotAllowedError("This gateway answers only under the names of its own machine.")
        if is_foreign_write(method, origin=headers.get("origin"), host_header=host):
            raise OriginNotAllowedError("A page of another origin may not change anything here.")
        return LOCAL_ADMIN

    def _with_identity(self, scope: Scope, principal: Principal, request_id: str) -> Scope:
        """The request as the gateway's own endpoints see it: checked by the same policies as in every service."""
        kept = [(name, value) for name, value in scope["headers"] if not is_identity(name)]
        token = self._upstreams.token(AUDIENCE, principal)
        replaced = {HEADER.lower(): token, REQUEST_ID.lower(): request_id}
        own = [(name.encode(), value.encode()) for name, value in replaced.items()]
        names = {name for name, _ in own}
        return {**scope, "headers": [(name, value) for name, value in kept if name not in names] + own}
