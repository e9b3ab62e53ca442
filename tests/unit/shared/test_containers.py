"""Tests in containers run on the same servers as a deployment does."""

from pathlib import Path

import pytest
import yaml

from slm_testing.containers import IMAGES, NoEngineError, servers_in_containers

COMPOSE = Path(__file__).parents[3] / "compose.yaml"


def test_the_images_are_those_of_the_compose_file() -> None:
    services = yaml.safe_load(COMPOSE.read_text())["services"]
    assert {name: services[name]["image"] for name in IMAGES} == IMAGES


async def test_a_missing_engine_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    with pytest.raises(NoEngineError, match="no container engine answers"):
        async with servers_in_containers():
            pass
