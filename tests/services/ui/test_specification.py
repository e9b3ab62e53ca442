"""The criteria of the console's specification one by one; its whole flow is in tests/e2e/test_console.py."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import slm_ui
from slm_client import SlmClient
from slm_ui.navigation import PLACES
from slm_ui.settings import UiSettings
from tests.services.ui.conftest import Things
from tests.support.console import Page, text_of

MODULES = sorted(Path(slm_ui.__file__).parent.rglob("*.py"))
ELSEWHERE = {"torch", "transformers", "sqlalchemy", "asyncpg", "nats", "minio", "httpx", "httpx2", "requests"}


def _columns(page: Page) -> set[str]:
    return {column["label"] for column in page.of_kind("table")[0]["columns"]}


def test_the_sidebar_leads_to_every_section() -> None:
    listed = {place.title for place in PLACES if place.is_listed}
    assert {"Home", "Datasets", "Models", "Experiments", "Evaluations", "Train model"} <= listed


@pytest.mark.parametrize("name", [place.name for place in PLACES])
def test_all_pages_load_independently(name: str) -> None:
    page = Page(name)
    assert not page.app.exception
    assert page.drawn


def test_no_training_logic_exists_and_the_api_is_the_only_way() -> None:
    used = {name.partition(".")[0] for path in MODULES for name in _imports(path)}
    assert {name for name in used if name.startswith("slm_")} == {"slm_ui", "slm_client"}
    assert not used & ELSEWHERE


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_lists_have_the_columns_that_are_asked_for(things: Things) -> None:
    assert {"Name", "Usage", "Rows", "Added", "File"} <= _columns(Page("datasets"))
    assert {"Experiment", "Status", "Base model", "Training data", "Created"} <= _columns(Page("experiments"))
    models = Page("models")
    assert {"Model", "Type", "Version", "Architecture", "Parameters", "Created"} <= _columns(models)
    assert "latest" in text_of(models.rows[0][2])


def test_every_dataset_can_be_downloaded_from_the_list(things: Things) -> None:
    links = [row[-1]["href"] for row in Page("datasets", q="numbers-eval").rows]
    assert links == [f"download/datasets/{things.evaluation_dataset.id}?format=raw"]


def test_models_are_filtered_by_their_type(things: Things) -> None:
    assert [row[0]["text"] for row in Page("models", kind="base").rows] == ["nano-v1"]


def test_an_experiment_leads_to_its_model_and_its_evaluations(things: Things, client: SlmClient) -> None:
    model = client.models.wait_for_experiment(things.run.experiment_id)
    evaluation = client.evaluations.list(experiment_id=things.run.experiment_id).items[0]
    text = Page("experiment", id=things.run.experiment_id).text
    assert f"model?id={model.id}" in text
    assert f"evaluation?id={evaluation.id}" in text


def test_an_evaluation_shows_metrics_curve_and_statistics(things: Things, client: SlmClient) -> None:
    model = client.models.wait_for_experiment(things.run.experiment_id)
    found = client.evaluations.list(model_id=model.id).items[0]
    measured = {text_of(row[0]).split(" nats")[0] for row in Page("evaluation", id=found.id).rows}
    assert {"token accuracy", "token f1", "perplexity"} <= measured
    training = Page("evaluation", id=found.id, tab="Training")
    assert training.app.get("vega_lite_chart")
    assert training.facts["Steps"]


def test_the_wizard_has_six_steps_and_launches_only_what_is_valid(things: Things) -> None:
    steps = Page("train").app.get("button_group")[0].proto.options
    assert [option.content.split()[-1] for option in steps] == [
        "Details", "model", "data", "data", "Configuration", "Review",
    ]  # fmt: skip
    assert Page("train").app.button(key="next").disabled
    assert Page("train", step="6").app.button(key="launch").disabled
    wrong = Page("train", step="5", epochs="many")
    assert wrong.app.button(key="next").disabled
    assert "Epochs must be a number" in wrong.text


def test_status_is_asked_for_at_least_every_ten_seconds() -> None:
    assert UiSettings().refresh_s <= UiSettings().idle_refresh_s <= 10
