"""A built wheel holds every file of its packages, and runs the whole platform in an empty folder, without a checkout.

The environment it is installed into sees the libraries of this one; with `-m install` (`make wheel`) pip installs them
all anew, from the package index.
"""

import json
import os
import socket
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pydantic
import pytest

from slm_local.programs import script
from slm_local.record import StackRecord, read_record
from slm_shared.observability.code_version import code_version
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[3]
USUAL_PORT = 8000
READY_S = 90.0
pytestmark = pytest.mark.timeout(1200)


@dataclass(frozen=True)
class Installed:
    """An environment with the platform, and an empty folder to work in."""

    environment: Path
    folder: Path
    path: str

    @property
    def variables(self) -> dict[str, str]:
        """What its commands see: nothing of this checkout."""
        ours = {
            name: value for name, value in os.environ.items() if not name.startswith(("SLM_", "PYTHON", "VIRTUAL_"))
        }
        return ours | {"PATH": self.path}

    def start(self, *words: str) -> "subprocess.Popen[str]":
        program = str(self.environment / "bin" / words[0])
        return subprocess.Popen(
            [program, *words[1:]],
            cwd=self.folder,
            env=self.variables,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, *words: str) -> str:
        """What it prints; it must end well."""
        with self.start(*words) as process:
            said, complaints = process.communicate()
        assert process.returncode == 0, f"{said}{complaints}"
        return said


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    folder = tmp_path_factory.mktemp("dist")
    code_version()  # remembered from here on: somebody may commit while the tests run
    _run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module", params=["these libraries", pytest.param("all anew", marks=pytest.mark.install)])
def installed(request: pytest.FixtureRequest, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel in an environment of its own."""
    environment, folder = tmp_path_factory.mktemp("environment"), tmp_path_factory.mktemp("empty")
    _run(sys.executable, "-m", "venv", "--without-pip", environment)
    python = environment / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--python", python, "install")
    if request.param == "all anew":
        _run(*pip, "-c", ROOT / "constraints.txt", f"{wheel}[all]")
        return Installed(environment, folder, os.environ.get("PATH", os.defpath))
    _run(*pip, "--no-deps", "--no-index", wheel)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(environment), "platbase": str(environment)}))
    # A folder named in a .pth file is searched; the .pth files in it, such as that of this checkout, are not read.
    (site / "libraries.pth").write_text(f"{Path(pydantic.__file__).parents[1]}\n")
    return Installed(environment, folder, f"{script('nats-server').parent}{os.pathsep}{os.environ['PATH']}")


def test_every_file_of_the_packages_is_in_the_wheel(wheel: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = [ROOT / name for name in project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]]
    wanted = {
        str(path.relative_to(package.parent))
        for package in packages
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with zipfile.ZipFile(wheel) as opened:
        held = set(opened.namelist())
    assert wanted - held == set()
    read_at_run_time = (".safetensors", ".jsonl", ".jinja", ".css", ".js", ".png", ".yaml", "py.typed")
    assert {suffix for suffix in read_at_run_time if not any(name.endswith(suffix) for name in held)} == set()
    assert any(name.endswith("dist-info/licenses/LICENSE") for name in held)


def test_the_wheel_knows_the_commit_it_was_built_from(installed: Installed) -> None:
    show = "from slm_shared.observability import code_version as m; print(m.code_version(), m.__file__)"
    told, path = installed.run("python", "-c", show).split()
    assert told == code_version()
    assert Path(path).is_relative_to(installed.environment)


def test_up_status_and_down(installed: Installed) -> None:
    with installed.start("slm", "up", "--free-ports") as launcher:
        try:
            record = _ready(installed.folder / ".slm", launcher)
            assert f"Ready: {record.gateway_url}" in installed.run("slm", "status")
            assert "Datasets" in installed.run("slm", "overview", "--gateway", record.gateway_url)
            assert "the data stays" in installed.run("slm", "down")
            assert launcher.wait() == 0
        finally:
            launcher.kill()


def test_the_demo_starts_a_platform_around_itself(installed: Installed) -> None:
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", USUAL_PORT)) == 0:
            pytest.skip(f"something answers on port {USUAL_PORT}, and the demo would use it")
    told = json.loads(installed.run("slm", "demo", "--epochs", "0.1", "--json"))
    assert told["experiment"]["status"] == "completed"
    assert told["evaluation"]["metrics"]["loss"] < told["base_evaluation"]["metrics"]["loss"]
    assert read_record(installed.folder / ".slm") is None


def _ready(data_dir: Path, launcher: "subprocess.Popen[str]") -> StackRecord:
    def is_ready() -> bool:
        assert launcher.poll() is None, launcher.communicate()
        record = read_record(data_dir)
        return record is not None and record.ready

    wait_until(is_ready, timeout_s=READY_S)
    record = read_record(data_dir)
    assert record is not None
    return record


def _run(*command: object) -> None:
    done = subprocess.run([str(word) for word in command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
