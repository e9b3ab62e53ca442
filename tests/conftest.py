"""Every test may use the real servers of `slm_testing.plugin`. Faults: `--faults` of them, drawn by `--seed`."""

import gc
import random
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.report import Injected, table_of

pytest_plugins = ["slm_testing.plugin"]

# No test depends on how fast the machine is at the moment.
settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")

# Until everything is imported: half of the time that collecting the tests takes went into looking for garbage.
gc.disable()

# Files whose tests start children that import torch: begun first, so that no process is left alone with them.
LONGEST = ("tests/services/training/worker/", "tests/services/evaluation/")


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of the fault suite."""
    parser.addoption("--faults", default="2", help="how many faults to inject: a number, or all")
    parser.addoption("--writes", type=int, default=100, help="acknowledged writes per fault under load, at least")
    parser.addoption("--repeat", type=int, default=1, help="how often each fault under load is injected")
    parser.addoption("--report", type=Path, default=None, help="write a table of the faults under load here")
    parser.addoption("--seed", type=int, default=None, help="draws the faults and their moments again")


def pytest_configure(config: pytest.Config) -> None:
    """Choose the seed once for everything."""
    if config.getoption("--seed") is None:
        config.option.seed = secrets.randbelow(10**6)


def pytest_report_header(config: pytest.Config) -> str:
    """The seed, so that a run can be repeated."""
    return f"faults: {config.getoption('--faults')}, --seed={config.getoption('--seed')}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with what takes longest; keep a random few of the faults."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))
    wanted: str = config.getoption("--faults")
    faults = [item for item in items if item.get_closest_marker("fault")]
    if wanted == "all" or len(faults) <= int(wanted):
        return
    kept = set(random.Random(config.getoption("--seed")).sample(range(len(faults)), int(wanted)))
    left = {id(item) for index, item in enumerate(faults) if index not in kept}
    config.hook.pytest_deselected(items=[item for item in items if id(item) in left])
    items[:] = [item for item in items if id(item) not in left]


def pytest_collection_finish() -> None:
    """From here on there is garbage; what was imported is none and is not looked at again."""
    gc.freeze()
    gc.enable()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for `round_number` runs `--repeat` times, round after round."""
    if "round_number" in metafunc.fixturenames:
        rounds = range(metafunc.config.getoption("--repeat"))
        metafunc.parametrize("round_number", rounds, scope="module")


@pytest.fixture
def seed(pytestconfig: pytest.Config) -> int:
    """Draws every random choice of a test."""
    value: int = pytestconfig.getoption("--seed")
    return value


@pytest.fixture
def writes(pytestconfig: pytest.Config) -> int:
    """How many writes have to be acknowledged around a fault."""
    value: int = pytestconfig.getoption("--writes")
    return value


@pytest.fixture(scope="session")
def _injected() -> list[Injected]:
    return []


@pytest.fixture
def fault_report(pytestconfig: pytest.Config, _injected: list[Injected]) -> Iterator[list[Injected]]:
    """What each injected fault did so far; becomes the file of `--report`, anew after each."""
    yield _injected
    path: Path | None = pytestconfig.getoption("--report")
    if path is not None and _injected:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(table_of(_injected))
