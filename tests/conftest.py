"""Every test may use the real servers of `slm_shared.testing`. Faults: `--faults` of them, drawn by `--seed`."""

import random
import secrets

import pytest

pytest_plugins = ["slm_shared.testing"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--faults` and `--seed`."""
    parser.addoption("--faults", default="2", help="how many faults to inject: a number, or all")
    parser.addoption("--seed", type=int, default=None, help="draws the faults and their moments again")


def pytest_configure(config: pytest.Config) -> None:
    """Choose the seed once for everything."""
    if config.getoption("--seed") is None:
        config.option.seed = secrets.randbelow(10**6)


def pytest_report_header(config: pytest.Config) -> str:
    """The seed, so that a run can be repeated."""
    return f"faults: {config.getoption('--faults')}, --seed={config.getoption('--seed')}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep a random few of the faults."""
    wanted: str = config.getoption("--faults")
    faults = [item for item in items if item.get_closest_marker("fault")]
    if wanted == "all" or len(faults) <= int(wanted):
        return
    kept = set(random.Random(config.getoption("--seed")).sample(range(len(faults)), int(wanted)))
    left = {id(item) for index, item in enumerate(faults) if index not in kept}
    config.hook.pytest_deselected(items=[item for item in items if id(item) in left])
    items[:] = [item for item in items if id(item) not in left]


@pytest.fixture
def seed(pytestconfig: pytest.Config) -> int:
    """Draws every random choice of a test."""
    value: int = pytestconfig.getoption("--seed")
    return value
