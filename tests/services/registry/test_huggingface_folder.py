"""What is downloaded loads unchanged in a process that knows nothing of the platform; LoRA as adapter and merged."""

import json
import subprocess
import sys
import tarfile
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx2
import pytest
import torch
from peft import LoraConfig, TaskType, get_peft_model
from safetensors.torch import load_file

from slm_client.packing import packed
from slm_ml.model import load_model
from slm_registry.settings import packaged_models

NANO = packaged_models() / "nano-v1"
IDS = [[5, 6, 7, 8, 9, 10]]
BARE = """
import json, sys, torch
from transformers import AutoModelForCausalLM, AutoTokenizer
model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32)
if len(sys.argv) > 2:
    from peft import PeftModel
    model = PeftModel.from_pretrained(model, sys.argv[2])
else:
    tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
    assert tokenizer.decode(tokenizer("hello there")["input_ids"]) == "hello there"
assert not any(name.startswith("slm_") for name in sys.modules)
with torch.inference_mode():
    print(json.dumps(model(torch.tensor([[5, 6, 7, 8, 9, 10]])).logits[0, -1].tolist()))
"""


def in_a_bare_process(*folders: Path) -> torch.Tensor:
    """The last logits of a fixed input, computed by transformers alone."""
    done = subprocess.run(
        [sys.executable, "-c", BARE, *map(str, folders)],
        capture_output=True,
        text=True,
        check=False,
        env={"HF_HUB_OFFLINE": "1", "PATH": "/usr/bin:/bin", "HOME": str(folders[0])},
    )
    assert done.returncode == 0, done.stderr
    return torch.tensor(json.loads(done.stdout.splitlines()[-1]))


async def downloaded(client: httpx2.AsyncClient, reference: str, to: Path, **query: str) -> Path:
    """The folder that an archive unpacks to."""
    answer = await client.get(f"/api/models/{reference}/download", params=query)
    assert answer.status_code == 200, answer.text
    return unpacked(answer.content, to)


def unpacked(content: bytes, to: Path) -> Path:
    """The one folder of an archive."""
    with tarfile.open(fileobj=BytesIO(content)) as archive:
        archive.extractall(to)
    (folder,) = to.iterdir()
    return folder


@torch.inference_mode()
def last_logits(model: Any) -> torch.Tensor:
    logits: torch.Tensor = model(torch.tensor(IDS)).logits[0, -1]
    return logits


async def test_a_model_loads_in_bare_transformers(client: httpx2.AsyncClient, tmp_path: Path) -> None:
    folder = await downloaded(client, "nano-v1", tmp_path / "out")
    assert folder.name == "nano-v1"
    # Another process may use another number of threads, which adds up in another order.
    torch.testing.assert_close(in_a_bare_process(folder), last_logits(load_model(NANO)), rtol=1e-4, atol=1e-4)


# peft asks for an attribute that transformers renames.
@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")
async def test_lora_comes_as_adapter_and_merged(client: httpx2.AsyncClient, tmp_path: Path) -> None:
    torch.manual_seed(1)
    settings = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type=TaskType.CAUSAL_LM)
    tuned: Any = get_peft_model(load_model(NANO), settings)
    for name, weight in tuned.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.05)
    made = tmp_path / "made"
    tuned.save_pretrained(str(made / "adapter"))
    expected = last_logits(tuned)
    tuned.merge_and_unload().save_pretrained(made)
    for path in NANO.iterdir():
        if path.name.startswith(("tokenizer", "chat_template")):
            (made / path.name).write_bytes(path.read_bytes())
    with packed(made) as archive:
        answer = await client.post(
            "/api/models",
            data={"family": "tuned", "base_model": "nano-v1"},
            files={"file": ("model.tar", archive.read_bytes())},
        )
    assert answer.status_code == 201, answer.text
    merged = await downloaded(client, "tuned", tmp_path / "merged", part="merged")
    adapter = await downloaded(client, "tuned", tmp_path / "adapter", part="adapter")
    assert (merged.name, adapter.name) == ("tuned-v1-merged", "tuned-v1-adapter")
    assert not (merged / "adapter").exists()
    assert load_file(adapter / "adapter_model.safetensors")
    assert torch.allclose(in_a_bare_process(merged), expected, atol=1e-4)
    assert torch.allclose(in_a_bare_process(NANO, adapter), expected, atol=1e-4)
    assert not torch.allclose(last_logits(load_model(NANO)), expected, atol=1e-2)


async def test_a_model_without_lora_has_no_adapter(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/api/models/nano-v1/download?part=adapter")
    assert (answer.status_code, answer.json()["code"]) == (404, "file_not_found")
