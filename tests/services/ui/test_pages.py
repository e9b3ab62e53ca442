"""Each page in each of its states, on a real platform. The first tests see it empty."""

import asyncio

import pytest

from slm_client import SlmClient
from tests.services.ui.conftest import HOSTILE, Things
from tests.support.console import Page, text_of
from tests.support.seeding import Seeding
from tests.support.waiting import wait_until

LISTS = ("datasets", "runs", "experiments", "evaluations")
EVERY = ("home", "train", *LISTS, "models", "activity", "system")


@pytest.mark.parametrize("name", [*LISTS, "home"])
def test_an_empty_platform_says_what_to_do_next(name: str) -> None:
    page = Page(name)
    assert page.errors == []
    assert page.of_kind("empty")[0]["text"]


@pytest.mark.parametrize("name", EVERY)
def test_every_page_loads_alone(name: str) -> None:
    page = Page(name)
    assert page.errors == []
    assert not page.app.exception
    assert page.title


@pytest.mark.parametrize("name", ["dataset", "run", "experiment", "model", "evaluation"])
def test_a_page_about_nothing_leads_to_the_list(name: str) -> None:
    page = Page(name)
    assert page.of_kind("empty")[0]["action"]["href"] == f"{name}s"


@pytest.mark.parametrize("name", ["dataset", "run", "experiment", "model", "evaluation"])
def test_a_page_about_something_unknown_says_so(name: str) -> None:
    page = Page(name, id="0190f5fe-0000-7000-8000-000000000000")
    assert "There is no such" in page.errors[0]
    # A command is of no use in a browser.
    assert "`" not in page.errors[0]
    assert page.app.button(key="show:all").label == f"Show all {'training run' if name == 'run' else name}s"
    assert not page.app.exception


@pytest.mark.parametrize("name", EVERY)
def test_a_platform_that_is_away_is_told_and_asked_again(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLM_GATEWAY_URL", "http://127.0.0.1:9")
    page = Page(name)
    if name == "train":
        # The first step asks nothing of the platform; the second has to.
        page.app.query_params["step"] = "2"
        page.app.run()
    assert "No answer from the platform" in page.errors[0]
    assert "Trying again every few seconds" in page.text
    assert not page.app.exception
    monkeypatch.undo()


def test_home_counts_and_shows_the_latest(things: Things) -> None:
    page = Page("home")
    counted = {item["label"]: item["value"] for item in page.of_kind("cards")[0]["items"]}
    assert counted == {"Datasets": "3", "Models": "2", "Experiments": "1", "Running now": "0"}
    assert page.rows[0][0]["href"] == f"experiment?id={things.run.experiment_id}"


def test_datasets_are_filtered_by_the_address(things: Things) -> None:
    assert {row[0]["text"] for row in Page("datasets").rows} == {"numbers-v1", "numbers-eval-v1", "broken-v1"}
    assert [row[0]["text"] for row in Page("datasets", usage="evaluation").rows] == ["numbers-eval-v1"]
    assert [row[0]["text"] for row in Page("datasets", status="error").rows] == ["broken-v1"]
    assert [row[0]["text"] for row in Page("datasets", q="numbers", usage="training").rows] == ["numbers-v1"]
    assert Page("datasets", q="nothing-like-this").of_kind("empty")[0]["title"] == "Nothing matches"


def test_a_filter_that_is_chosen_comes_to_stand_in_the_address(things: Things) -> None:
    page = Page("datasets")
    page.app.selectbox(key="address:status").set_value("error").run()
    assert page.app.query_params["status"] == "error"
    assert [row[0]["text"] for row in page.rows] == [things.broken.name]


def test_a_broken_file_is_told_with_its_line(things: Things) -> None:
    page = Page("dataset", id=things.broken.id)
    assert things.broken.error is not None
    assert "line 2" in page.errors[0]
    assert page.app.button(key="retry:open")
    page = Page("dataset", id=things.broken.id, tab="Problems")
    problems = next(table for table in page.of_kind("table") if table["label"] == "Problems")
    assert problems["rows"][0]["cells"][0] == "2"


def test_a_dataset_shows_its_rows_and_its_uses(things: Things) -> None:
    rows = [text_of(cell) for row in Page("dataset", id=things.dataset.id, tab="Rows").rows for cell in row]
    assert "say 0" in rows
    assert "number 19" in rows
    assert Page("dataset", id=things.dataset.id).facts["Rows"] == "60"
    assert "numbers-v1 (this one)" in Page("dataset", id=things.dataset.id, tab="Versions").text
    assert f"experiment?id={things.run.experiment_id}" in Page("dataset", id=things.dataset.id, tab="Used by").text


def test_a_finished_experiment_tells_everything(things: Things, client: SlmClient) -> None:
    page = Page("experiment", id=things.run.experiment_id)
    model = client.models.wait_for_experiment(things.run.experiment_id)
    timeline = Page("experiment", id=things.run.experiment_id, tab="Timeline")
    titles = [item["title"] for item in timeline.of_kind("timeline")[0]["items"]]
    assert titles[0] == "Queued"
    assert {"Attempt 1 on trainer-1", "Attempt 1 succeeded", "Succeeded"} <= set(titles)
    assert page.facts["Model"] == model.name
    assert page.facts["Training data"].startswith("numbers-v1")
    assert Page("experiment", id=things.run.experiment_id, tab="Log").of_kind("log")[0]["lines"]
    assert len(page.app.get("vega_lite_chart")) == 2
    with pytest.raises(KeyError):
        page.app.button(key="cancel")


def test_a_model_card_leads_to_everything_it_came_from(things: Things, client: SlmClient) -> None:
    model = client.models.wait_for_experiment(things.run.experiment_id)
    page = Page("model", id=model.id)
    lineage = Page("model", id=model.id, tab="Lineage")
    nodes = {node["text"] for column in lineage.of_kind("graph")[0]["columns"] for node in column["nodes"]}
    assert {"numbers-v1", "nano-v1", model.name} <= nodes
    assert page.facts["Goal"] == HOSTILE

    def is_scored() -> bool:
        tables = Page("model", id=model.id, tab="Scores").of_kind("table")
        return any("(base)" in column["label"] for data in tables for column in data["columns"])

    # The registry learns of scores by an event.
    wait_until(is_scored, timeout_s=30)


def test_an_evaluation_stands_beside_that_of_the_base(things: Things, client: SlmClient) -> None:
    model = client.models.wait_for_experiment(things.run.experiment_id)
    found = client.evaluations.list(model_id=model.id).items[0]
    page = Page("evaluation", id=found.id)
    labels = [column["label"] for column in page.of_kind("table")[0]["columns"]]
    assert labels == ["Metric", "nano-v1 (base)", model.name, "Change", "95% interval"]
    answers = Page("evaluation", id=found.id, tab="Answers").of_kind("samples")[0]["items"]
    assert answers[0]["fields"][0][1].startswith("say ")
    assert len(answers) == 10


def test_text_of_users_stays_text(things: Things) -> None:
    page = Page("experiment", id=things.run.experiment_id)
    assert page.title == HOSTILE
    for element in page.app.markdown:
        assert "<script>" not in element.value
        assert "javascript:" not in element.value.replace("javascript\\:", "")


def test_a_failed_run_tells_why(things: Things, seeding: Seeding, client: SlmClient) -> None:
    error = (
        '{"code": "diverged", "message": "The loss became NaN at step 12.", "blame": "user", "log_tail": "last words"}'
    )
    changes = {"state": "'failed'", "error": f"'{error}'::jsonb", "result": "NULL", "name": "'fails'"}
    asyncio.run(seeding.experiments(things.run.id, count=1, **changes))
    failed = client.experiments.list(status="failed").items[0]
    page = Page("experiment", id=failed.id)
    assert "The loss became NaN at step 12\\." in page.errors[0]
    assert "last words" in page.text
    page = Page("experiment", id=failed.id, tab="Timeline")
    assert [item["tone"] for item in page.of_kind("timeline")[0]["items"]][-1] == "bad"


def test_long_lists_come_page_by_page(things: Things, seeding: Seeding) -> None:
    asyncio.run(seeding.datasets(things.dataset.id, count=1000))
    page = Page("datasets", q="numbers", sort="-created_at")
    first = [row[0]["text"] for row in page.rows]
    table = page.of_kind("table")[0]
    assert len(first) == 25
    assert table["pages"] == {"number": 1, "hasPrevious": False, "hasNext": True, "note": "25 shown"}


def test_the_review_plans_before_it_launches(things: Things) -> None:
    given = {"name": "planned", "training_dataset": things.dataset.id, "max_length": "64", "step": "6"}
    page = Page("train", **given)
    assert page.errors == []
    assert page.app.session_state["plan"][1].status in ("planning", "ready")
    assert not page.app.button(key="launch").disabled


def test_what_the_platform_refuses_cannot_be_launched(things: Things) -> None:
    page = Page("train", name="refused", training_dataset=things.broken.id, step="6")
    assert page.errors
    assert page.app.button(key="launch").disabled


def test_a_draft_that_is_launched_twice_is_one_run(things: Things, client: SlmClient) -> None:
    given = {"name": "launched twice", "training_dataset": things.dataset.id, "max_length": "64", "step": "6"}
    page = Page("train", draft="one", **given).press("launch")
    page.app.switch_page("app_pages/train.py")
    page.app.query_params.clear()
    page.app.query_params.update({"draft": "one", **given})
    page.app.run()
    page.press("launch")
    found = client.runs.list(q="launched twice").items
    for run in found:
        client.runs.cancel(run.id)
    assert len(found) == 1


def test_a_dataset_report_tells_of_every_column(things: Things) -> None:
    page = Page("dataset", id=things.dataset.id, tab="Report")
    columns = next(table for table in page.of_kind("table") if table["rows"] and table["rows"][0]["id"] == "prompt")
    assert columns["columns"][0]["label"] == "Column"
    assert page.app.button(key="split")


def test_destructive_things_ask_first(things: Things, client: SlmClient) -> None:
    page = Page("dataset", id=things.broken.id).press("delete")
    assert "broken-v1" in page.text
    assert client.datasets.get(things.broken.id).id == things.broken.id
