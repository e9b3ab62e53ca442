"""The whole job in a browser, without a terminal; and what a browser must never be made to do."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from slm_client import SlmClient
from slm_local.record import read_record
from tests.support.browser import PHONE, Scheme, Visitor, browsing

HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"
ROWS = "".join(f'{{"prompt": "say {number}", "completion": "number {number}"}}\n' for number in range(80))
pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests of this file."""
    with browsing() as running:
        yield running


@pytest.fixture(scope="session")
def console(stack: str, stack_folder: Path) -> str:
    """The address of the console of the stack."""
    record = read_record(stack_folder)
    assert record is not None
    url = next(part.url for part in record.parts if part.name == "ui")
    assert url is not None
    return url


def test_the_whole_job_from_upload_to_evaluation(browser: Browser, console: str, tmp_path: Path) -> None:
    data, held_out = tmp_path / "sayings.jsonl", tmp_path / "sayings-eval.jsonl"
    data.write_text(ROWS)
    held_out.write_text("\n".join(ROWS.splitlines()[:20]) + "\n")
    with Visitor(browser, console) as visitor:
        visitor.open("")
        for file, usage in ((data, "Training"), (held_out, "Evaluation")):
            _upload(visitor, file, usage=usage)
            visitor.has_head(f"{file.stem}-v1")
            visitor.sees("processed")
        visitor.page.get_by_role("link", name="Train model").first.click()
        visitor.has_head("Train model")
        expect(visitor.page.get_by_role("button", name="Continue")).to_be_disabled()
        visitor.fill("Experiment name", "sayings in the browser")
        visitor.fill("Goal", "Say numbers.")
        visitor.click("Continue")
        visitor.sees("2. Base model")
        visitor.sees("nano-v1")
        visitor.click("Continue")
        visitor.sees("3. Training data")
        visitor.choose("Training dataset", "sayings-v1")
        visitor.click("Continue")
        visitor.sees("4. Evaluation data")
        visitor.choose("Evaluation dataset", "sayings-eval-v1")
        visitor.click("Continue")
        visitor.sees("5. Configuration")
        visitor.fill("Epochs", "many")
        visitor.sees("Epochs must be a number.")
        visitor.fill("Epochs", "1")
        visitor.fill("Longest row (tokens)", "64")
        visitor.click("Back")
        visitor.sees("4. Evaluation data")
        visitor.page.reload()
        visitor.sees("4. Evaluation data")
        visitor.click("Continue")
        visitor.click("Continue")
        visitor.sees("6. Review")
        visitor.sees("sayings in the browser")
        visitor.click("Launch")
        visitor.has_head("sayings in the browser")
        visitor.page.get_by_text("completed", exact=True).first.wait_for(timeout=180_000)
        visitor.sees("Results")
        _until_registered(visitor)
        visitor.follow("sayings-in-the-browser-v1")
        visitor.has_head("sayings-in-the-browser-v1")
        visitor.page.get_by_role("tab", name="Lineage").click()
        visitor.sees("sayings-v1")
        visitor.page.get_by_role("link", name="Evaluations").first.click()
        visitor.has_head("Evaluations")
        visitor.page.get_by_text("completed", exact=True).nth(1).wait_for(timeout=240_000)
        row = visitor.page.get_by_role("row").filter(has_text="sayings-in-the-browser-v1")
        row.get_by_role("link").first.click()
        visitor.has_head("sayings-in-the-browser-v1 on sayings-eval-v1")
        visitor.sees("nano-v1 (base)")
        visitor.sees("exact match")
        assert visitor.wrong == []


def _upload(visitor: Visitor, file: Path, *, usage: str) -> None:
    visitor.page.get_by_role("link", name="Datasets").first.click()
    visitor.has_head("Datasets")
    form = visitor.page.locator("details").first
    expect(form).to_be_visible()
    if form.get_attribute("open") is None:
        form.locator("summary").click()
    visitor.page.locator("input[type=file]").first.set_input_files(file)
    visitor.sees(file.name)
    visitor.page.get_by_text(usage, exact=True).first.click()
    upload = visitor.page.get_by_role("button", name="Upload", exact=True).last
    expect(upload).to_be_enabled()
    upload.click()


def _until_registered(visitor: Visitor) -> None:
    look = visitor.page.get_by_role("button", name="Look again")
    link = visitor.page.get_by_role("link", name="sayings-in-the-browser-v1")
    while not link.first.is_visible():
        if look.is_visible():
            look.click()
        visitor.page.wait_for_timeout(300)


def test_a_broken_file_is_told_and_the_name_is_kept(browser: Browser, console: str, tmp_path: Path) -> None:
    broken = tmp_path / "torn.jsonl"
    broken.write_text('{"prompt": "a", "completion": "b"}\n{"prompt": \n')
    with Visitor(browser, console) as visitor:
        visitor.open("datasets")
        _upload(visitor, broken, usage="Training")
        visitor.has_head("torn-v1")
        visitor.sees("This file cannot be used yet")
        visitor.sees("line 2")
        visitor.click("Delete")
        visitor.click("Keep it")
        visitor.has_head("torn-v1")
        visitor.click("Delete")
        visitor.page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).click()
        visitor.has_head("Datasets")
        expect(visitor.page.get_by_text("torn-v1", exact=True)).to_have_count(0)
        assert visitor.wrong == []


def test_markup_in_every_field_is_shown_as_text(
    browser: Browser, console: str, client: SlmClient, tmp_path: Path
) -> None:
    file = tmp_path / "markup.jsonl"
    file.write_text(f'{{"prompt": "{HOSTILE}", "completion": "{HOSTILE}"}}\n' * 8)
    made = client.datasets.upload(file, name=HOSTILE, description=HOSTILE)
    client.datasets.wait(made.id)
    run = client.runs.launch({"name": HOSTILE, "goal": HOSTILE, "training_dataset": made.id, "epochs": 0.1})
    client.runs.cancel(run.id)
    with Visitor(browser, console) as visitor:
        visitor.open(f"dataset?id={made.id}")
        visitor.sees(HOSTILE)
        visitor.page.get_by_role("tab", name="Rows").click()
        visitor.open(f"experiment?id={run.experiment_id}")
        visitor.has_head(HOSTILE)
        visitor.open(f"run?id={run.id}")
        visitor.has_head(HOSTILE)
        for path in ("", "runs", "experiments", "datasets", "activity", f"train?name={HOSTILE}&goal={HOSTILE}&step=6"):
            visitor.open(path)
        assert visitor.wrong == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_a_phone(browser: Browser, console: str, scheme: Scheme) -> None:
    with Visitor(browser, console, size=PHONE, scheme=scheme) as visitor:
        for name in ("", "train", "datasets", "runs", "experiments", "models", "evaluations", "activity", "system"):
            visitor.open(name)
            assert visitor.page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
        assert visitor.wrong == []


def test_links_work_by_keyboard_and_the_way_back_too(browser: Browser, console: str) -> None:
    with Visitor(browser, console) as visitor:
        visitor.open("models")
        link = visitor.page.get_by_role("link", name="nano-v1", exact=True).first
        link.focus()
        visitor.page.keyboard.press("Enter")
        visitor.has_head("nano-v1")
        visitor.page.go_back()
        visitor.has_head("Models")
        assert visitor.wrong == []


def test_files_come_through_the_console_unchanged(
    browser: Browser, console: str, client: SlmClient, tmp_path: Path
) -> None:
    file = tmp_path / "whole.jsonl"
    file.write_text(ROWS)
    made = client.datasets.upload(file, name="whole")
    client.datasets.wait(made.id)
    with Visitor(browser, console) as visitor:
        visitor.open(f"dataset?id={made.id}")
        with visitor.page.expect_download() as coming:
            visitor.follow("As uploaded")
        assert coming.value.path().read_text() == ROWS
        assert coming.value.suggested_filename == "whole-v1.jsonl"


def test_a_promotion_against_the_policy_keeps_its_reason(
    browser: Browser, console: str, client: SlmClient, tmp_path: Path
) -> None:
    file = tmp_path / "unmeasured.jsonl"
    file.write_text(ROWS)
    made = client.datasets.upload(file, name="unmeasured")
    client.datasets.wait(made.id)
    run = client.runs.launch({"name": "unmeasured", "training_dataset": made.id, "epochs": 0.2, "max_length": 64})
    client.experiments.wait(run.experiment_id)
    model = client.models.wait_for_experiment(run.experiment_id)
    with Visitor(browser, console) as visitor:
        visitor.open(f"model?id={model.id}&tab=Promotion")
        visitor.click("Promote anyway")
        promote = visitor.page.get_by_role("dialog").get_by_role("button", name=f"Promote {model.name}")
        expect(promote).to_be_disabled()
        visitor.fill("Reason", "There is nothing else yet.")
        expect(promote).to_be_enabled()
        promote.click()
        visitor.sees("is the champion of its family")
        visitor.page.get_by_role("tab", name="Aliases").click()
        visitor.sees("There is nothing else yet.")
        with visitor.page.expect_download() as coming:
            visitor.page.get_by_role("tab", name="Files").click()
            visitor.follow("config.json")
        assert coming.value.suggested_filename == "config.json"
        assert visitor.wrong == []
