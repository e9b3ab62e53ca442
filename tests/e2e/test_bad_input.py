"""What a user may get wrong, on the real stack: a clear refusal each time, never a 500."""

import json
from pathlib import Path
from typing import Any

import pytest

from slm_client import SlmClient, SlmError
from slm_client.cli.main import run

pytestmark = pytest.mark.timeout(120)


def refusal(client: SlmClient, **settings: Any) -> SlmError:
    """How the platform refuses a run."""
    with pytest.raises(SlmError) as caught:
        client.runs.launch({"name": "bad", "training_dataset": "ready", **settings})
    return caught.value


@pytest.fixture(scope="module")
def ready(client: SlmClient, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A processed dataset."""
    path = tmp_path_factory.mktemp("data") / "ready.jsonl"
    path.write_text("".join(json.dumps({"prompt": str(n), "completion": "x"}) + "\n" for n in range(20)))
    return client.datasets.wait(client.datasets.upload(path).id, timeout_s=60).name


def test_what_is_not_there_is_404(client: SlmClient, ready: str) -> None:
    assert refusal(client, training_dataset="nothing-v9").status == 404
    assert refusal(client, base_model="nothing-v9").status == 404
    for get in (
        client.datasets.get,
        client.runs.get,
        client.experiments.get,
        client.models.get,
        client.evaluations.get,
    ):
        for reference in ("nothing-v9", "0198f3a0-0000-7000-8000-000000000000"):
            with pytest.raises(SlmError) as caught:
                get(reference)
            assert caught.value.status in {404, 422}


def test_a_broken_file_is_an_error_that_names_the_line(stack: str, client: SlmClient, tmp_path: Path) -> None:
    path = tmp_path / "broken.jsonl"
    path.write_text('{"prompt": "a", "completion": "b"}\n{"prompt": \n')
    dataset = client.datasets.wait(client.datasets.upload(path).id, timeout_s=60)
    assert dataset.status == "error"
    assert dataset.error is not None
    assert dataset.error.line == 2
    assert refusal(client, training_dataset=dataset.name).status == 409
    assert run(["datasets", "upload", str(path), "--gateway", stack]) == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 0),
        ("epochs", 101),
        ("learning_rate", -1),
        ("learning_rate", "0.1"),
        ("learning_rate", True),
        ("batch_size", 2**31),
        ("batch_size", 1.5),
        ("max_length", 10**7),
        ("seed", -1),
        ("method", "magic"),
        ("lora_rank", 0),
        ("epoch", 3),
        ("owner_id", "root"),
    ],
)
def test_absurd_settings_are_refused_by_name(client: SlmClient, ready: str, field: str, value: Any) -> None:
    error = refusal(client, **{field: value})
    assert error.status == 422
    assert field in [each.field.rpartition(".")[2] for each in error.errors]


def test_numbers_that_are_none_are_refused_by_name(client: SlmClient, ready: str) -> None:
    error = refusal(client, learning_rate=float("1e300"))
    assert (error.status, error.errors[0].field) == (422, "learning_rate")
