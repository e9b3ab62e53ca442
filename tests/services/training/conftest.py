"""The training service with the registry and the datasets service beside it, all real."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from slm_datasets.app import create_app as create_datasets
from slm_datasets.settings import DatasetsSettings
from slm_registry.app import create_app as create_registry
from slm_registry.settings import RegistrySettings
from slm_shared.identity.principal import Role
from slm_shared.settings import PlatformSettings
from slm_shared.storage.objects import ObjectStore
from slm_testing.apps import client_of, running
from slm_testing.databases import MakeDatabase
from slm_testing.events import EventLog
from slm_testing.waiting import eventually
from slm_training.app import create_app
from slm_training.settings import TrainingSettings
from tests.support.training import TrainingPlatform


@pytest.fixture
def training_settings() -> dict[str, Any]:
    """Settings of the training service that a test module may override."""
    return {}


@pytest.fixture
async def platform(
    platform_settings: PlatformSettings,
    principal_keys: Path,
    service_database: MakeDatabase,
    events: EventLog,
    training_settings: dict[str, Any],
) -> AsyncIterator[TrainingPlatform]:
    """Everything running, with the base model registered."""
    del events
    datasets_app = create_datasets(
        DatasetsSettings(
            port=0,
            database_name=await service_database("datasets"),
            platform=platform_settings,
            poll_s=0.2,
            # What rows are like is of no interest here, and takes a process for each dataset.
            examiners=0,
        )
    )
    registry_app = create_registry(
        RegistrySettings(port=0, database_name=await service_database("registry"), platform=platform_settings)
    )
    async with running(datasets_app, principal_keys) as datasets, running(registry_app, principal_keys) as registry:

        async def is_registered() -> bool:
            return (await registry.get("/api/models/nano-v1")).status_code == 200

        await eventually(is_registered)
        linked = platform_settings.model_copy(
            update={"datasets_url": str(datasets.base_url), "registry_url": str(registry.base_url)}
        )
        app = create_app(
            TrainingSettings(
                port=0, database_name=await service_database("training"), platform=linked, **training_settings
            )
        )
        async with (
            running(app, principal_keys) as training,
            client_of(str(training.base_url), "training", principal_keys, role=Role.WORKER) as worker,
        ):
            yield TrainingPlatform(linked, app, training, datasets, worker, ObjectStore(platform_settings))
