"""Access policies: every endpoint says by a parameter who may call it.

`principal: Viewer`, `Member`, `Admin` or `Worker`; `_: Public` for what anybody may see. A route that says nothing
stops the service from starting, so that nobody can forget to protect one.
"""

from typing import Annotated

from fastapi import Depends, FastAPI, Request
from fastapi.routing import APIRoute, iter_route_contexts

from slm_shared.errors import ForbiddenError, UnauthenticatedError
from slm_shared.http.provided import Service, given
from slm_shared.identity.principal import HEADER, Principal, Role


class Policy:
    """The access policy of an endpoint: the least role it asks for, or None for everybody."""

    def __init__(self, role: Role | None) -> None:
        self.role = role

    async def __call__(self, request: Request) -> Principal | None:
        """The principal of the request. Raises UnauthenticatedError or ForbiddenError."""
        if self.role is None:
            return None
        verifier = given(request.app, Service).verifier
        token = request.headers.get(HEADER)
        if verifier is None or token is None:
            raise UnauthenticatedError("The request carries no valid principal.")
        principal = verifier.verify(token)
        if not principal.may(self.role):
            raise ForbiddenError(f"This needs the role {self.role}.")
        request.state.principal = principal
        return principal


Public = Annotated[None, Depends(Policy(None))]
Viewer = Annotated[Principal, Depends(Policy(Role.VIEWER))]
Member = Annotated[Principal, Depends(Policy(Role.MEMBER))]
Admin = Annotated[Principal, Depends(Policy(Role.ADMIN))]
Worker = Annotated[Principal, Depends(Policy(Role.WORKER))]


def policy_of(route: APIRoute) -> Policy | None:
    """The declared policy of a route, or None when it declares none."""
    for dependency in route.dependant.dependencies:
        if isinstance(dependency.call, Policy):
            return dependency.call
    return None


def missing_policies(app: FastAPI) -> list[str]:
    """The paths of every route without a policy; the schema route is not among them, it holds no data."""
    return [path for path, route in routes_of(app) if policy_of(route) is None]


def routes_of(app: FastAPI) -> list[tuple[str, APIRoute]]:
    """Path and route of every endpoint of an app."""
    contexts = iter_route_contexts(app.routes)
    return [(str(each.path), each.original_route) for each in contexts if isinstance(each.original_route, APIRoute)]
