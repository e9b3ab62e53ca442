"""What the console promises: few questions, transfers that survive, nothing hidden about data and models."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from slm_client import SlmClient
from slm_client.models import Model
from slm_ui.navigation import PLACES
from tests.services.ui.conftest import PAIRS, Things
from tests.support.console import Page
from tests.support.front import Front, in_front_of
from tests.support.launched import LaunchedStack
from tests.support.waiting import wait_until

ROWS_OF_A_PAGE = 100
# Requests that opening a page may take; what is under a closed tab or in a fold is not asked for.
MAX_REQUESTS = {"train": 0, "system": 5, "dataset": 1, "experiment": 6, "model": 3, "evaluation": 3}


@pytest.fixture
def front(platform: LaunchedStack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Front]:
    """Stands between the console and the platform."""
    with in_front_of(platform.record.gateway_url) as (standing, address):
        monkeypatch.setenv("SLM_GATEWAY_URL", address)
        yield standing


@pytest.fixture(scope="session")
def model(things: Things, client: SlmClient) -> Model:
    """What was trained."""
    return client.models.wait_for_experiment(things.run.experiment_id)


@pytest.mark.parametrize("name", [place.name for place in PLACES if place.name != "compare"])
def test_a_page_asks_few_questions_and_for_one_page_of_rows(
    name: str, things: Things, model: Model, client: SlmClient, front: Front
) -> None:
    found = client.evaluations.list(model_id=model.id).items[0]
    experiment = things.run.experiment_id
    ids = {"dataset": things.dataset.id, "run": things.run.id, "experiment": experiment, "model": model.id}
    ids |= {"evaluation": found.id}
    page = Page("activity")
    page.app.query_params.update({"id": ids[name]} if name in ids else {})
    front.asked.clear()
    page.app.switch_page(f"app_pages/{name}.py").run()
    assert page.errors == []
    assert len(front.asked) <= MAX_REQUESTS.get(name, 1)
    for request in front.asked:
        limits = parse_qs(urlsplit(request.split()[1]).query).get("limit", [])
        assert all(int(limit) <= ROWS_OF_A_PAGE for limit in limits)


def test_a_big_file_that_broke_goes_on_where_it_was(
    front: Front, client: SlmClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLM_UI_PARTS_FROM_BYTES", "1")
    page = Page("datasets")
    page.app.session_state["upload:form"] = True
    page.app.run()
    page.app.file_uploader(key="upload:file").set_value(("resumed.jsonl", PAIRS.encode(), "application/json")).run()
    front.refused = "POST .*:complete"
    page.press("upload:send")
    assert page.errors
    assert "Upload goes on from there" in page.text
    assert not client.datasets.list(q="resumed").items
    front.refused = None
    front.asked.clear()
    page.press("upload:send")
    sent = [request for request in front.asked if "/uploads" in request]
    assert re.match("GET .*/uploads/", sent[0])
    assert not any(request.startswith("PUT") for request in sent)
    made = client.datasets.list(q="resumed").items[0]
    assert client.datasets.wait(made.id).rows == 60
    client.datasets.delete(made.id)


def test_a_small_file_goes_in_one_request(front: Front, client: SlmClient) -> None:
    page = Page("datasets")
    page.app.session_state["upload:form"] = True
    page.app.run()
    page.app.file_uploader(key="upload:file").set_value(("small.jsonl", PAIRS.encode(), "application/json")).run()
    page.press("upload:send")
    assert not any("/uploads" in request for request in front.asked)
    made = client.datasets.list(q="small").items[0]
    assert client.datasets.wait(made.id).status == "processed"
    client.datasets.delete(made.id)


def test_rows_that_stand_in_both_datasets_are_told(things: Things, client: SlmClient) -> None:
    page = Page("dataset", id=things.dataset.id, tab="Compare", other=things.evaluation_dataset.id)
    page.press("compare:ask")
    compared = client.datasets.compare(things.dataset.id, other=things.evaluation_dataset.id)
    page = Page("dataset", id=things.dataset.id, tab="Compare", comparison=compared.id)
    assert "60 rows of numbers\\-v1 stand in numbers\\-eval\\-v1" in page.app.warning[0].value
    assert page.facts["Whole row in both"] == "60"
    assert "The same names and types in both." in page.text
    examples = next(table for table in page.of_kind("table") if table["label"] == "Rows in both")
    assert examples["rows"][0]["cells"][1]["text"] == examples["rows"][0]["cells"][2]["text"]


def test_two_versions_are_told_apart_by_what_changed(things: Things, client: SlmClient, tmp_path: Path) -> None:
    file = tmp_path / "next.jsonl"
    file.write_text(PAIRS + '{"prompt": "say more", "completion": "more"}\n')
    following = client.datasets.wait(client.datasets.upload(file, name="numbers").id)
    compared = client.datasets.compare(things.dataset.id, other=following.id)
    page = Page("dataset", id=things.dataset.id, tab="Compare", comparison=compared.id)
    assert "60 rows stand in both, 0 only here, 1 only in" in page.app.info[0].value
    assert not page.app.warning
    client.datasets.delete(following.id)


def test_every_part_of_a_model_can_be_taken_along(model: Model, client: SlmClient, tmp_path: Path) -> None:
    page = Page("model", id=model.id, tab="Files")
    archives, files = page.of_kind("table")
    assert [row["id"] for row in archives["rows"]] == ["all"]
    names = {row["id"]: row["cells"][0]["href"] for row in files["rows"]}
    assert names["model.safetensors"] == f"download/models/{model.id}/files/model.safetensors"
    target = tmp_path / "config.json"
    assert client.models.download_file(model.id, "config.json", target) == target.stat().st_size
    assert json.loads(target.read_text())["architectures"]


def test_a_promotion_by_force_asks_for_a_reason(things: Things, client: SlmClient) -> None:
    # Without evaluation data nothing was measured, and the policy wants it measured.
    run = client.runs.launch({"name": "unmeasured", "training_dataset": things.dataset.id, "epochs": 0.3})
    client.experiments.wait(run.experiment_id)
    model = client.models.wait_for_experiment(run.experiment_id)
    page = Page("model", id=model.id, tab="Promotion")
    assert page.app.button(key="promote").disabled
    page.press("promote:force")
    assert "better" in page.app.warning[0].value
    assert page.app.button(key="promote:forced").disabled


def test_evaluations_are_found_by_their_day(things: Things, model: Model, client: SlmClient) -> None:
    made = client.evaluations.list(model_id=model.id).items[0].created_at
    assert made is not None
    day = f"{made:%Y-%m-%d}"
    everything = len(client.evaluations.list().items)

    def shown(**days: str) -> int:
        tables = Page("evaluations", **days).of_kind("table")
        return len(tables[0]["rows"]) if tables else 0

    wait_until(lambda: shown(since=day, until=day) == everything, timeout_s=30)
    assert shown(until="2020-01-01") == 0
    assert shown(since="not a day") == everything
    page = Page("evaluations", since="2020-01-02", until="2020-01-01")
    assert "The first day comes after the last" in page.text
