"""The web edge of every service: app, health, errors, access policies, sessions.

`create_app` is what a composition root ends with. Whatever a service raises becomes a problem document here; nothing
below this file knows HTTP.
"""

import gc
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import version
from typing import Annotated, TypeVar

import structlog
import uvicorn
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from fastapi.telemetry import TelemetryConfig
from pydantic import ValidationError
from starlette.responses import JSONResponse

from slm_shared.background import BackgroundTask, running_in_background
from slm_shared.delivery.dead_letters import Redriver
from slm_shared.errors import UnavailableError
from slm_shared.http.access import Public, missing_policies
from slm_shared.http.operations import operations_router
from slm_shared.http.problems import install_problem_handlers
from slm_shared.http.provided import Service, provide, provided
from slm_shared.http.requests import RequestContext
from slm_shared.identity.principal import Verifier
from slm_shared.observability import exporting
from slm_shared.observability.logging import configure_logging
from slm_shared.observability.tracing import span_provider
from slm_shared.settings import ServiceSettings
from slm_shared.storage.database import Database
from slm_shared.storage.housekeeping import Housekeeper

log = structlog.get_logger()

HEALTH = ("/healthz", "/readyz")
GRACEFUL_SHUTDOWN_S = 5
# Longer than the callers keep an idle connection (aiohttp: 15 s): a server that closes first loses the request that is
# just being sent.
KEEP_ALIVE_S = 75
# Allocations between collections of the young, and of those that are left; 700, 10, 10 by default.
GC_THRESHOLDS = (50_000, 20, 50)

S = TypeVar("S", bound=ServiceSettings)
Closer = Callable[[], Awaitable[None]]


def create_app(
    *,
    service: str,
    title: str,
    description: str,
    settings: ServiceSettings,
    database: Database | None,
    routers: Sequence[APIRouter],
    background: Sequence[BackgroundTask] = (),
    closers: Sequence[Closer] = (),
    provides: Sequence[object] = (),
) -> FastAPI:
    """Assemble one service.

    `background` runs beside the requests; `closers` are awaited at the end; endpoints ask for `provides`, settings and
    database by type (`slm_shared.http.provided`). Raises RuntimeError for a route that declares no access policy.
    """
    configure_logging(service, level=settings.log_level)
    if database is not None:
        background = (*background, Housekeeper(database))
    app = FastAPI(
        title=title,
        description=description,
        version=version("slm-platform"),
        lifespan=_lifespan(background, closers, database),
        docs_url=None,
        redoc_url=None,
        telemetry=_telemetry(),
        generate_unique_id_function=_operation_id,
    )
    stored = [database] if database is not None else []
    provide(app, [_service(service, settings, database, background), settings, *stored, *provides])
    install_problem_handlers(app)
    for each in (_health, *routers, *([operations_router(service)] if database is not None else [])):
        app.include_router(each)
    if undeclared := missing_policies(app):
        raise RuntimeError(f"routes without an access policy: {', '.join(undeclared)}")
    # Last, and so around everything else: also what other middlewares raise gets a request id and a problem document.
    app.add_middleware(RequestContext)
    return app


def _telemetry() -> TelemetryConfig:
    """A span and a duration for each request but those of health checks; nothing at all where nothing is exported."""
    provider = span_provider()
    return TelemetryConfig(
        tracer_provider=provider,
        tracing=provider is not None,
        metrics=exporting.is_wanted(),
        logs=False,
        operation_spans=False,
        auto_configure=False,
        exclude=lambda scope: scope["path"] in HEALTH,
    )


def _service(
    name: str, settings: ServiceSettings, database: Database | None, background: Sequence[BackgroundTask]
) -> Service:
    keys = settings.platform.principal_keys
    return Service(
        name=name,
        max_json_body_bytes=settings.max_json_body_bytes,
        background=tuple(background),
        database=database,
        bus=next((task for task in background if isinstance(task, Redriver)), None),
        # Without keys only public routes answer.
        verifier=Verifier(keys, audience=name) if keys else None,
    )


def _lifespan(
    background: Sequence[BackgroundTask], closers: Sequence[Closer], database: Database | None
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with running_in_background(background):
            yield
        # Only now: the background tasks used these until their end.
        for close in closers:
            await close()
        if database is not None:
            await database.close()

    return lifespan


def _operation_id(route: APIRoute) -> str:
    return route.name


_health = APIRouter(tags=["health"])


@_health.get("/healthz", include_in_schema=False)
async def live(_: Public) -> dict[str, str]:
    """Whether the process itself is alive; says nothing of what it depends on."""
    return {"status": "ok"}


@_health.get("/readyz", include_in_schema=False)
async def ready(service: Annotated[Service, provided(Service)], _: Public) -> JSONResponse:
    """200 when the database answers and every background task works, else 503 with what is missing."""
    problems: dict[str, str] = {}
    if service.database is not None:
        try:
            await service.database.ping()
        except UnavailableError:
            problems["database"] = "does not answer"
    for task in service.background:
        if problem := task.problem():
            problems[task.name] = problem
    body = {"status": "unavailable" if problems else "ok", "problems": problems}
    return JSONResponse(body, status_code=503 if problems else 200)


def spare_garbage_collection() -> None:
    """Look for reference cycles rarely, and never again in what is there by now: the imports and the app.

    A request that reads thousands of rows would start several full collections, which took 120 ms of the 180 ms that a
    long metric series needed at the 95th percentile.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


def serve(service: str, settings_of: type[S], create_app: Callable[[S], FastAPI]) -> None:
    """Serve the app that `create_app` makes of the environment's settings, until SIGTERM or SIGINT.

    Ends the process with exit code 2 when a setting is wrong, and logs which one and why.
    """
    try:
        settings = settings_of()
    except ValidationError as error:
        configure_logging(service)
        problems = [f"{'.'.join(map(str, each['loc']))} {each['msg']}".strip() for each in error.errors()]
        log.error("settings.invalid", problems=problems)
        sys.exit(2)
    with exporting.exporting(service):
        _run(create_app(settings), settings)


def _run(app: FastAPI, settings: ServiceSettings) -> None:
    spare_garbage_collection()
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        # Nobody in front of a service may say where a request came from.
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACEFUL_SHUTDOWN_S,
    )
