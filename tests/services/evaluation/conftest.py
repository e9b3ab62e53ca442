"""The evaluation service with its callers, and models as the registry would announce them."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest
from nats.js.api import ConsumerInfo
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from slm_evaluation.app import create_app
from slm_evaluation.settings import EvaluationSettings
from slm_evaluation.worker.settings import EvaluatorSettings
from slm_shared.delivery.broker import Broker
from slm_shared.events.catalogue import ModelRegistered
from slm_shared.events.topology import EVENTS, durable_name
from slm_shared.identity.principal import HEADER, Principal, Role, Signer
from slm_shared.settings import PlatformSettings
from slm_shared.storage.ids import new_id
from slm_shared.storage.objects import ObjectStore
from slm_testing.apps import running
from slm_testing.databases import MakeDatabase
from slm_testing.events import EventLog
from slm_testing.waiting import DEADLINE_S, eventually
from tests.support.evaluation import Make, Site, WarmWork

LEASES = "/api/evaluation-leases"


class SignedBy(httpx2.Auth):
    """Signs every request for one principal."""

    def __init__(self, signer: Signer, principal: Principal) -> None:
        self._signer, self._principal = signer, principal

    def auth_flow(self, request: httpx2.Request) -> Iterator[httpx2.Request]:  # type: ignore[override]
        """Add the principal."""
        request.headers[HEADER] = self._signer.token("evaluation", self._principal)
        yield request


@pytest.fixture
def overrides() -> dict[str, Any]:
    """Settings of the service that a test changes by `parametrize`."""
    return {}


@pytest.fixture
def neighbours() -> dict[str, str]:
    """Addresses of other services that the service asks; a module that plays one says where."""
    return {}


@pytest.fixture
async def database_name(service_database: MakeDatabase) -> str:
    """The service's own database."""
    return await service_database("evaluation")


@pytest.fixture
async def user(
    platform_settings: PlatformSettings,
    principal_keys: Path,
    database_name: str,
    overrides: dict[str, Any],
    neighbours: dict[str, str],
) -> AsyncIterator[httpx2.AsyncClient]:
    """The running service as an administrator sees it."""
    chosen: dict[str, Any] = {"lease_ttl_s": 60.0, "heartbeat_s": 0.2, "reaper_interval_s": 0.1, **overrides}
    platform = platform_settings.model_copy(update=neighbours)
    settings = EvaluationSettings(port=0, database_name=database_name, platform=platform, **chosen)
    async with running(create_app(settings), principal_keys) as client:
        yield client


@pytest.fixture
async def as_role(
    user: httpx2.AsyncClient, principal_keys: Path
) -> AsyncIterator[Callable[[Role | None], Awaitable[httpx2.AsyncClient]]]:
    """`await as_role(Role.VIEWER)`: another caller of the same service; without a role nobody in particular."""
    async with AsyncExitStack() as stack:

        async def connect(role: Role | None) -> httpx2.AsyncClient:
            signer = Signer(principal_keys / ("worker.json" if role is Role.WORKER else "gateway.json"))
            auth = None if role is None else SignedBy(signer, Principal("caller", role))
            client = httpx2.AsyncClient(base_url=user.base_url, auth=auth, timeout=DEADLINE_S)
            return await stack.enter_async_context(client)

        yield connect


@pytest.fixture
async def worker(as_role: Callable[[Role | None], Awaitable[httpx2.AsyncClient]]) -> httpx2.AsyncClient:
    """The running service as a worker sees it."""
    return await as_role(Role.WORKER)


@pytest.fixture
def base_model() -> Callable[..., ModelRegistered]:
    """`base_model(name="x")`: the registration of a base model."""

    def make(**changes: Any) -> ModelRegistered:
        prefix = f"models/{new_id()}"
        fields = {
            "model_id": new_id(),
            "name": "nano-v1",
            "family": "nano",
            "version": 1,
            "kind": "base",
            "artifact_prefix": prefix,
            "manifest_key": f"{prefix}/manifest.json",
            "manifest_sha256": "ab" * 32,
            "size_bytes": 1000,
            "parameter_count": 100,
        }
        return ModelRegistered.model_validate(fields | changes)

    return make


@pytest.fixture
def tuned_model(base_model: Callable[..., ModelRegistered]) -> Callable[..., ModelRegistered]:
    """`tuned_model(base, dataset_id=...)`: the registration of a model that was fine-tuned from `base`."""

    def make(base: ModelRegistered, *, dataset_id: UUID | None = None, **changes: Any) -> ModelRegistered:
        dataset_id = dataset_id or new_id()
        fields = {
            "name": "commands-v1",
            "family": "commands",
            "kind": "fine_tuned",
            "base_model_id": base.model_id,
            "experiment_id": new_id(),
            "run_id": new_id(),
            "training_dataset_id": new_id(),
            "evaluation_dataset_id": dataset_id,
            "evaluation_dataset_name": "held-out-v1",
            "evaluation_dataset_key": f"datasets/{dataset_id}/canonical.parquet",
            "evaluation_dataset_sha256": "cd" * 32,
            "evaluation_row_format": "prompt/completion",
            "evaluation_mapping": {"prompt": "question"},
        }
        return base_model(**fields | changes)

    return make


@pytest.fixture
async def consumer(platform_settings: PlatformSettings) -> AsyncIterator[Callable[[], Awaitable[ConsumerInfo]]]:
    """`await consumer()`: how far the service has got with registrations."""
    broker = Broker(platform_settings.nats_url, name="tests")
    jetstream = await broker.jetstream()

    async def ask() -> ConsumerInfo:
        info: ConsumerInfo = await jetstream.consumer_info(EVENTS, durable_name("evaluation", ModelRegistered))
        return info

    yield ask
    await broker.close()


@pytest.fixture
def handled(consumer: Callable[[], Awaitable[ConsumerInfo]]) -> Callable[[], Awaitable[None]]:
    """`await handled()`: return once the service has dealt with every registration so far."""

    async def is_done() -> bool:
        info = await consumer()
        return info.num_pending == 0 and info.num_ack_pending == 0

    async def wait() -> None:
        await eventually(is_done)

    return wait


@pytest.fixture
def given_back(consumer: Callable[[], Awaitable[ConsumerInfo]]) -> Callable[[], Awaitable[None]]:
    """`await given_back()`: return once a registration was delivered again."""

    async def is_delivered_again() -> bool:
        return bool((await consumer()).num_redelivered)

    async def wait() -> None:
        await eventually(is_delivered_again)

    return wait


@pytest.fixture
async def queue(
    events: EventLog,
    user: httpx2.AsyncClient,
    base_model: Callable[..., ModelRegistered],
    tuned_model: Callable[..., ModelRegistered],
    handled: Callable[[], Awaitable[None]],
) -> Callable[[int], Awaitable[list[str]]]:
    """`await queue(3)`: queue that many evaluations (at least two) and return their ids, oldest first."""

    async def make(count: int) -> list[str]:
        base, dataset_id = base_model(), new_id()
        await events.publish(base)
        await handled()
        for number in range(1, count):
            await events.publish(tuned_model(base, dataset_id=dataset_id, name=f"commands-v{number}", version=number))
            await handled()
        items = (await user.get("/api/evaluations")).json()["items"]
        assert len(items) == count
        return [item["id"] for item in reversed(items)]

    return make


@pytest.fixture
def claim(worker: httpx2.AsyncClient) -> Callable[..., Awaitable[dict[str, Any] | None]]:
    """`await claim(worker="evaluator-2")`: a lease, or None when nothing is due."""

    async def ask(**fields: Any) -> dict[str, Any] | None:
        body = {"worker": "evaluator-1", "claim_id": str(new_id()), **fields}
        answer = await worker.post(f"{LEASES}:claim", json=body)
        assert answer.status_code in (200, 204)
        lease: dict[str, Any] | None = answer.json() if answer.status_code == 200 else None
        return lease

    return ask


@pytest.fixture
def tell(worker: httpx2.AsyncClient) -> Callable[..., Awaitable[httpx2.Response]]:
    """`await tell(lease, "heartbeat", step=3)`: what a worker writes under its lease."""

    async def post(lease: dict[str, Any], verb: str, **fields: Any) -> httpx2.Response:
        body = {"epoch": lease["epoch"], **fields}
        return await worker.post(f"{LEASES}/{lease['evaluation_id']}:{verb}", json=body)

    return post


@pytest.fixture
async def row_of(
    platform_settings: PlatformSettings, database_name: str
) -> AsyncIterator[Callable[[str], Awaitable[dict[str, Any]]]]:
    """`await row_of(evaluation_id)`: the evaluation as it lies in the database."""
    engine = create_async_engine(platform_settings.database_url(database_name))

    async def read(evaluation_id: str) -> dict[str, Any]:
        async with engine.connect() as connection:
            found = await connection.execute(text("SELECT * FROM evaluation WHERE id = :id"), {"id": evaluation_id})
            return dict(found.mappings().one())

    yield read
    await engine.dispose()


@pytest.fixture
async def site(
    user: httpx2.AsyncClient,
    events: EventLog,
    platform_settings: PlatformSettings,
    principal_keys: Path,
    tmp_path: Path,
    base_model: Make,
    tuned_model: Make,
    handled: Callable[[], Awaitable[None]],
) -> Site:
    """The site, with settings that lead a worker to the service."""
    platform = platform_settings.model_copy(
        update={"evaluation_url": str(user.base_url), "signing_key": principal_keys / "worker.json"}
    )
    return Site(user, ObjectStore(platform), events, platform, tmp_path, base_model, tuned_model, handled)


@pytest.fixture(scope="module")
async def warm(
    platform_settings: PlatformSettings, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[WarmWork]:
    """What the workers of a file do, with one child for all of them."""
    settings = EvaluatorSettings(work_dir=tmp_path_factory.mktemp("evaluator"), platform=platform_settings)
    work = WarmWork(settings, store=ObjectStore(platform_settings))
    yield work
    await work.end()
