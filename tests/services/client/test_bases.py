"""Base models from elsewhere: fetched at a fixed revision, without anything that runs, and registered once."""

import asyncio
import io
import json
import os
import sys
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from slm_client import SlmError
from slm_client.base_models import is_external
from slm_testing.apps import serving
from tests.support.clients import Ask
from tests.support.fake_platform import FakePlatform
from tests.support.hub import Hub

OLD, NEW = "a" * 40, "b" * 40
MODEL = {"id": "4", "name": "model-v1"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "My_Model"
    folder.mkdir()
    for name in ("config.json", "tokenizer.json", "model.safetensors", "pytorch_model.bin", "modeling.py"):
        (folder / name).write_text(name)
    return folder


@pytest.fixture
async def hub(folder: Path) -> AsyncIterator[tuple[Hub, str]]:
    hub = Hub(folder, commits=[OLD, NEW])
    async with serving(hub.app) as address:
        yield hub, address


async def slm(*words: str, hub: str, home: Path) -> tuple[int, str]:
    """The command in a process of its own, because the hub's address is read when its library is imported."""
    env = {**os.environ, "HF_ENDPOINT": hub, "HF_HOME": str(home), "HF_HUB_OFFLINE": "0", "NO_COLOR": "1"}
    program = "import sys; from slm_client.cli.main import run; sys.exit(run(sys.argv[1:]))"
    out, err = asyncio.subprocess.PIPE, asyncio.subprocess.STDOUT
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, *words, stdout=out, stderr=err, env=env
    )
    told, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, told.decode()


def files_in(form: bytes) -> set[str]:
    """The names in the tar file of a multipart form."""
    content = form[form.index(b"\r\n\r\n", form.index(b'name="file"')) + 4 :]
    with tarfile.open(fileobj=io.BytesIO(content), mode="r|") as tar:
        return set(tar.getnames())


@pytest.mark.parametrize(("revision", "commit"), [("", NEW), ("@main", NEW), (f"@{OLD}", OLD)])
async def test_a_model_of_the_hub_is_pinned_to_a_commit(
    platform: FakePlatform, hub: tuple[Hub, str], tmp_path: Path, revision: str, commit: str
) -> None:
    platform.will_answer({"items": []}, MODEL)
    words = ("models", "import", f"tiny/model{revision}", "--gateway", platform.address)
    code, told = await slm(*words, hub=hub[1], home=tmp_path / "home")
    assert (code, told.splitlines()[-1]) == (0, "model-v1"), told
    form = platform.asked[-1][3]
    assert f"hf:tiny/model@{commit}".encode() in form
    assert files_in(form) == {"config.json", "tokenizer.json", "model.safetensors"} == set(hub[0].served)


@pytest.mark.parametrize("name", ["tiny/model@gone", "tiny/other"])
async def test_what_the_hub_does_not_have_is_one_line(
    platform: FakePlatform, hub: tuple[Hub, str], tmp_path: Path, name: str
) -> None:
    code, told = await slm("models", "import", name, "--gateway", platform.address, hub=hub[1], home=tmp_path / "home")
    assert code != 0
    assert f"The hub does not give {name}." in told
    assert "Traceback" not in told
    assert platform.asked == []


async def test_a_hub_out_of_reach_is_told(platform: FakePlatform, tmp_path: Path) -> None:
    words = ("train", "--dataset", "rows", "--base-model", "tiny/model", "--gateway", platform.address)
    code, told = await slm(*words, hub="http://127.0.0.1:9", home=tmp_path / "home")
    assert code != 0
    assert "tiny/model cannot be fetched: the hub cannot be reached." in told


async def test_a_folder_is_registered_once(platform: FakePlatform, ask: Ask, folder: Path) -> None:
    platform.will_answer({"items": []}, MODEL)
    await ask(lambda client: client.models.bring(str(folder)))
    form = platform.asked[-1][3].decode(errors="replace")
    source = next(line for line in form.splitlines() if line.startswith("files:my-model@"))
    platform.will_answer({"items": [{"id": "9", "name": "my-model-v3", "config": {"source": source}}]})
    assert (await ask(lambda client: client.models.bring(str(folder)))).name == "my-model-v3"
    (folder / "config.json").write_text("other")
    platform.will_answer({"items": [{"id": "9", "name": "my-model-v3", "config": {"source": source}}]}, MODEL)
    assert (await ask(lambda client: client.models.bring(str(folder)))).name == "model-v1"
    assert [method for method, *_ in platform.asked] == ["GET", "POST", "GET", "GET", "POST"]


async def test_a_pipeline_brings_its_base_model_along(platform: FakePlatform, ask: Ask, folder: Path) -> None:
    platform.will_answer({"items": []}, MODEL)
    platform.will_refuse(409, "dataset_not_ready")
    settings = {"name": "Mine", "training_dataset": "rows", "model": {"base_model": str(folder)}}
    with pytest.raises(SlmError):
        await ask(lambda client: client.run_pipeline(settings))
    launched = json.loads(platform.asked[-1][3])
    assert (launched["base_model"], launched["model"]) == ("model-v1", {})


def test_names_of_the_platform_are_no_folders(tmp_path: Path) -> None:
    assert [is_external(each) for each in ("nano-v1", "nano@champion", None, "own/er", str(tmp_path))] == [
        False, False, False, True, True,
    ]  # fmt: skip


async def test_a_folder_that_is_not_there_is_told(platform: FakePlatform, ask: Ask, tmp_path: Path) -> None:
    with pytest.raises(SlmError, match="There is no file or folder"):
        await ask(lambda client: client.models.bring(str(tmp_path / "none")))
