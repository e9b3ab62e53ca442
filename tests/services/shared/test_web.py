"""The web edge: health, policies, problems, idempotency."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest
from fastapi import APIRouter, FastAPI
from pydantic import BaseModel, Field
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import JSONResponse

from slm_shared.errors import Hint, NotFoundError
from slm_shared.http.access import Admin, Member, Public, Viewer, Worker
from slm_shared.http.app import create_app
from slm_shared.http.idempotency import Idempotency
from slm_shared.http.requests import Body
from slm_shared.http.routing import ReadSession, router
from slm_shared.identity.principal import Role
from slm_shared.settings import PlatformSettings, ServiceSettings
from slm_shared.storage.database import Database
from slm_shared.storage.ids import new_id
from slm_testing.apps import running
from slm_testing.databases import MakeDatabase


class ThingNotFoundError(NotFoundError):
    code = "thing_not_found"


class ThingBody(Body):
    name: str = Field(min_length=1, max_length=20)
    learning_rate: float = Field(default=0.1, gt=0, le=1, strict=True)


class Thing(BaseModel):
    id: UUID
    name: str


things = router(tags=["things"])


@things.post("/api/things")
async def make_thing(body: ThingBody, _: Member, once: Idempotency) -> JSONResponse:
    async def work(session: AsyncSession) -> Thing:
        thing = Thing(id=new_id(), name=body.name)
        await session.execute(text("INSERT INTO thing VALUES (:id, :name)"), {"id": thing.id, "name": thing.name})
        return thing

    return await once(work, of=body.model_dump_json(), location=lambda thing: f"/api/things/{thing.id}")


@things.get("/api/things/{name}")
async def show_thing(name: str, _: Viewer, session: ReadSession) -> dict[str, int]:
    count = await session.scalar(text("SELECT count(*) FROM thing WHERE name = :name"), {"name": name})
    if not count:
        raise ThingNotFoundError("There is no such thing.", hint="List them." if name == "none" else Hint.LIST_MODELS)
    return {"count": count}


@things.get("/api/crash")
async def crash(_: Public) -> None:
    raise RuntimeError("secret text")


@things.get("/api/admin")
async def admin_only(_: Admin) -> None:
    """Nothing to see."""


@things.get("/api/leases")
async def worker_only(_: Worker) -> None:
    """Nothing to see."""


@pytest.fixture
async def app(platform_settings: PlatformSettings, service_database: MakeDatabase) -> AsyncIterator[FastAPI]:
    settings = ServiceSettings(port=0, database_name=await service_database("training"), platform=platform_settings)
    database = Database(settings.database_url, answer_within_s=settings.platform.answer_within_s)
    async with database.connection() as connection:
        await connection.execute(text("CREATE TABLE thing (id uuid, name text)"))
    yield create_app(
        service="things", title="Things", description="", settings=settings, database=database, routers=[things]
    )
    await database.close()


@pytest.fixture
async def client(app: FastAPI, principal_keys: Path) -> AsyncIterator[httpx2.AsyncClient]:
    async with running(app, principal_keys) as client:
        yield client


async def test_health_and_readiness(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/healthz")).json() == {"status": "ok"}
    ready = await client.get("/readyz")
    assert (ready.status_code, ready.json()["problems"]) == (200, {})


async def test_a_problem_document_names_field_and_request(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/api/things", json={"name": "x", "colour": "red"}, headers={"X-Request-ID": "r-1"})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["code"], problem["request_id"]) == ("unknown_field", "r-1")
    assert problem["errors"] == [{"field": "colour", "message": "is not a field of this request"}]


@pytest.mark.parametrize("value", [b"NaN", b"Infinity", b"-1", b"0", b"1e999", b'"0.1"', b"true", b"null"])
async def test_an_absurd_number_is_refused_by_field(client: httpx2.AsyncClient, value: bytes) -> None:
    body = b'{"name": "x", "learning_rate": ' + value + b"}"
    answer = await client.post("/api/things", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (422, "field_invalid")
    assert answer.json()["errors"][0]["field"] == "learning_rate"


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"\xff\xfe{\x00}\x00", "application/json", 400),
        (b"[]", "application/json", 422),
        (b"", "application/json", 422),
        (b'{"name": "x"}', "text/plain", 422),
        (b'{"name": "' + b"x" * (1024 * 1024) + b'"}', "application/json", 413),
    ],
)
async def test_bodies_that_cannot_be_used(client: httpx2.AsyncClient, content: bytes, kind: str, status: int) -> None:
    answer = await client.post("/api/things", content=content, headers={"Content-Type": kind})
    assert answer.status_code == status
    assert answer.json()["status"] == status


async def test_what_nobody_handled_is_a_500_without_its_text(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/api/crash")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "secret" not in answer.text


async def test_unknown_routes_and_methods_are_problems_too(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/api/nothing")).json()["code"] == "not_found"
    refused = await client.delete("/api/things")
    assert (refused.status_code, refused.json()["code"], refused.headers["allow"]) == (
        405,
        "method_not_allowed",
        "POST",
    )


async def test_the_same_key_makes_one_thing(client: httpx2.AsyncClient) -> None:
    headers = {"Idempotency-Key": "k-1"}
    answers = await asyncio.gather(*(client.post("/api/things", json={"name": "a"}, headers=headers) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len({answer.headers["location"] for answer in answers}) == 1
    assert sum("Idempotency-Replayed" in answer.headers for answer in answers) == 4
    assert (await client.get("/api/things/a")).json() == {"count": 1}


async def test_the_same_key_with_another_body_is_refused(client: httpx2.AsyncClient) -> None:
    headers = {"Idempotency-Key": "k-1"}
    await client.post("/api/things", json={"name": "a"}, headers=headers)
    answer = await client.post("/api/things", json={"name": "b"}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")


async def test_a_malformed_key_is_refused(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/api/things", json={"name": "a"}, headers={"Idempotency-Key": "x" * 256})
    assert answer.status_code == 400


async def test_a_missing_thing_is_told_with_a_hint(client: httpx2.AsyncClient) -> None:
    problem = (await client.get("/api/things/none")).json()
    assert (problem["status"], problem["code"], problem["hint"]) == (404, "thing_not_found", "List them.")
    assert "hint_code" not in problem


async def test_a_hint_with_a_code_is_told_as_both(client: httpx2.AsyncClient) -> None:
    problem = (await client.get("/api/things/other")).json()
    assert (problem["hint"], problem["hint_code"]) == ("List the models to see which there are.", "list_models")


@pytest.mark.parametrize(
    ("role", "path", "status"),
    [
        (Role.VIEWER, "/api/admin", 403),
        (Role.ADMIN, "/api/admin", 200),
        (Role.ADMIN, "/api/leases", 403),
        (Role.WORKER, "/api/leases", 200),
        (Role.WORKER, "/api/things/a", 403),
    ],
)
async def test_roles_open_their_routes_only(
    app: FastAPI, principal_keys: Path, role: Role, path: str, status: int
) -> None:
    async with running(app, principal_keys, role=role) as client:
        assert (await client.get(path)).status_code == status


async def test_nobody_gets_in_without_a_principal(client: httpx2.AsyncClient) -> None:
    async with httpx2.AsyncClient(base_url=client.base_url) as stranger:
        bodies = [
            (await stranger.get("/api/things/a", headers=headers)).json()
            for headers in ({}, {"SLM-Principal": "x"}, {"X-User-Id": "admin"})
        ]
    assert {body["code"] for body in bodies} == {"unauthenticated"}


def test_a_route_without_a_policy_stops_the_service(platform_settings: PlatformSettings) -> None:
    open_door = APIRouter()

    async def unguarded() -> dict[str, Any]:
        return {}

    open_door.add_api_route("/api/open", unguarded)
    settings = ServiceSettings(port=0, platform=platform_settings)
    with pytest.raises(RuntimeError, match="/api/open"):
        create_app(service="x", title="Things", description="", settings=settings, database=None, routers=[open_door])


async def test_a_lost_database_is_a_503_and_the_process_lives(
    platform_settings: PlatformSettings, principal_keys: Path
) -> None:
    gone = platform_settings.model_copy(update={"postgres_url": "postgresql://slm@127.0.0.1:9"})
    settings = ServiceSettings(port=0, database_name="none", platform=gone)
    database = Database(settings.database_url, answer_within_s=settings.platform.answer_within_s)
    app = create_app(
        service="things", title="Things", description="", settings=settings, database=database, routers=[things]
    )
    async with running(app, principal_keys) as client:
        answer = await client.get("/api/things/a")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        assert (await client.get("/readyz")).status_code == 503
        assert (await client.get("/healthz")).status_code == 200
