"""The gateway goes away while somebody works in the console, and comes back."""

import os
import shutil
import signal
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from playwright.async_api import Page, async_playwright, expect

from slm_local.addresses import choose_addresses
from slm_local.components import console, python
from slm_local.process import Process
from tests.support.browser import NAMES, PATIENCE_MS
from tests.support.cluster import Cluster

pytestmark = pytest.mark.timeout(240)
AWAY = "The platform does not answer"


@pytest.fixture(scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    """A platform whose gateway may be killed; every test brings it back."""
    running = Cluster(tmp_path_factory.mktemp("cluster"))
    await running.start()
    yield running
    await running.stop()


@pytest.fixture(scope="module")
async def address(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """A console in front of it."""
    folder = tmp_path_factory.mktemp("console")
    addresses = choose_addresses(folder, gateway_port=None, free=True, with_ui=True)
    part = console(addresses)[0]
    part = replace(part, env={**part.env, "SLM_GATEWAY_URL": cluster.gateway_url})
    process = await Process.start("ui", python(part.module), log_path=folder / "ui.log", env=part.env)
    await process.wait_ready(part.ready)
    yield addresses.url("ui")
    await process.stop()


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    """A page of a headless browser."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no Chromium is installed (Debian: apt-get install chromium)")
    async with async_playwright() as playwright:
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = await playwright.chromium.launch(executable_path=found, args=options)
        opened = await browser.new_page()
        opened.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        yield opened
        await browser.close()


async def test_pages_say_so_and_come_back_by_themselves(cluster: Cluster, address: str, page: Page) -> None:
    await page.goto(f"{address}/models")
    await expect(page.get_by_role("link", name="nano-v1", exact=True)).to_be_visible()
    await cluster.kill("gateway")
    for name in ("Datasets", "Experiments", "Home"):
        await page.get_by_test_id("stSidebarNav").get_by_role("link", name=name, exact=True).click()
        await expect(page.get_by_role("heading", level=1, name=name)).to_be_visible()
        await expect(page.get_by_text(AWAY).first).to_be_visible()
    assert await page.get_by_text("Traceback").count() == 0
    await cluster.start_part("gateway")
    await expect(page.get_by_text(AWAY)).to_have_count(0)
    await expect(page.get_by_text("Upload a dataset").first).to_be_visible()


async def test_a_gateway_that_hangs_is_told_of_too(cluster: Cluster, address: str, page: Page) -> None:
    await page.goto(f"{address}/models")
    await expect(page.get_by_role("link", name="nano-v1", exact=True)).to_be_visible()
    cluster.signal("gateway", signal.SIGSTOP)
    await page.get_by_test_id("stSidebarNav").get_by_role("link", name="Datasets", exact=True).click()
    await expect(page.get_by_text(AWAY).first).to_be_visible()
    cluster.signal("gateway", signal.SIGCONT)
    await expect(page.get_by_text(AWAY)).to_have_count(0)
    await expect(page.get_by_text("Upload a dataset").first).to_be_visible()


async def test_what_was_entered_outlives_an_outage(cluster: Cluster, address: str, page: Page) -> None:
    await page.goto(f"{address}/train")
    name = page.get_by_label("Experiment name")
    await name.fill("written before the outage")
    await name.press("Tab")
    await expect(page.get_by_role("button", name="Continue").first).to_be_enabled()
    await cluster.kill("gateway")
    await page.get_by_role("button", name="Continue").first.click()
    await expect(page.get_by_text(AWAY).first).to_be_visible()
    await cluster.start_part("gateway")
    await expect(page.get_by_text("2. Base model")).to_be_visible()
    await expect(page.get_by_text(AWAY)).to_have_count(0)
    await page.get_by_role("button", name="Back").first.click()
    await expect(page.get_by_label("Experiment name")).to_have_value("written before the outage")
