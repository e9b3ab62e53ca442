"""How quick is the console, and how much memory does a reader cost?

Starts the whole stack on free ports, adds 1,000 datasets and 1,000 experiments, and measures in a headless Chromium:

- first useful paint: from asking for a page's address in a fresh browser context until its head and its own content
  (a table, cards, facts) can be read; once with an empty browser cache, once with a warm one
- page change: from a click in the sidebar until the same is true of the next page
- memory: what the console's process grows by (PSS) per further open session

    python benchmarks/console.py [--rows 1000] [--rounds 5] [--sessions 10]

Held on 2 cores: first useful paint <= 1.5 s, page change p95 <= 0.7 s, <= 40 MB per session.
"""

import argparse
import asyncio
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import psutil
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))

from slm_client import SlmClient
from tests.support.browser import NAMES
from tests.support.launched import LaunchedStack
from tests.support.seeding import Seeding

PAGES = {
    "Home": ("", ".view .cards"),
    "Train model": ("train", "[aria-label='Experiment name']"),
    "Datasets": ("datasets", "table[aria-label='Datasets']"),
    "Training runs": ("runs", "table[aria-label='Training runs']"),
    "Experiments": ("experiments", "table[aria-label='Experiments']"),
    "Models": ("models", "table[aria-label='Models']"),
    "Evaluations": ("evaluations", ".view .empty"),
    "Activity": ("activity", "table[aria-label='Events']"),
    "System": ("system", "table[aria-label='Services']"),
}
"""By its head the address of each page, and what it is there for."""

ROWS = "".join(f'{{"prompt": "say {number}", "completion": "number {number}"}}\n' for number in range(60))


def prepared(stack: LaunchedStack, folder: Path, rows: int) -> None:
    """One dataset and one run, and many copies of both."""
    file = folder / "rows.jsonl"
    file.write_text(ROWS)
    with SlmClient(stack.record.gateway_url) as client:
        dataset = client.datasets.wait(client.datasets.upload(file, name="numbers").id)
        run = client.runs.launch({"name": "numbers", "training_dataset": dataset.id, "epochs": 1, "max_length": 64})
        client.experiments.wait(run.experiment_id)
    seeding = Seeding(stack.folder, stack.record)
    asyncio.run(seeding.datasets(dataset.id, count=rows))
    asyncio.run(seeding.experiments(run.id, count=rows))


def shown(page: Page, title: str) -> None:
    """Return when the page's head and content can be read."""
    page.locator(".view h1", has_text=title).first.wait_for()
    page.locator(PAGES[title][1]).first.wait_for()


def first_paints(browser: Browser, address: str, rounds: int) -> dict[str, tuple[float, float]]:
    """Median seconds to each page by its address: with an empty cache, and in a browser that was here before."""
    found = {}
    for title, (path, _) in PAGES.items():
        cold = [_opened(browser.new_context(), address, path, title=title) for _ in range(rounds)]
        context = browser.new_context()
        _open(context, address, path, title=title)
        warm = [_open(context, address, path, title=title) for _ in range(rounds)]
        context.close()
        found[title] = (statistics.median(cold), statistics.median(warm))
    return found


def _opened(context: BrowserContext, address: str, path: str, *, title: str) -> float:
    seconds = _open(context, address, path, title=title)
    context.close()
    return seconds


def _open(context: BrowserContext, address: str, path: str, *, title: str) -> float:
    page = context.new_page()
    began = time.perf_counter()
    page.goto(f"{address}/{path}", wait_until="commit")
    shown(page, title)
    seconds = time.perf_counter() - began
    page.close()
    return seconds


def page_changes(browser: Browser, address: str, rounds: int) -> list[float]:
    """Seconds from a click in the sidebar to the next page, over all pages."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(address)
    shown(page, "Home")
    seconds = []
    for _ in range(rounds):
        for title in [*list(PAGES)[1:], "Home"]:
            link = page.get_by_test_id("stSidebarNav").get_by_role("link", name=title, exact=True)
            began = time.perf_counter()
            link.click()
            shown(page, title)
            seconds.append(time.perf_counter() - began)
    context.close()
    return seconds


def memory_per_session(browser: Browser, address: str, sessions: int, pid: int) -> tuple[float, float]:
    """MB (PSS) of the console's process with one session, and what each further one adds."""
    process = psutil.Process(pid)
    contexts = [browser.new_context()]
    _stay(contexts[0], address)
    first = process.memory_full_info().pss
    for _ in range(sessions):
        contexts.append(browser.new_context())
        _stay(contexts[-1], address)
    last = process.memory_full_info().pss
    for context in contexts:
        context.close()
    return first / 1e6, (last - first) / sessions / 1e6


def _stay(context: BrowserContext, address: str) -> None:
    """Look at every page and stay on the last."""
    page = context.new_page()
    for title, (path, _) in PAGES.items():
        page.goto(f"{address}/{path}")
        shown(page, title)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sessions", type=int, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="slm-console-") as folder:
        stack = LaunchedStack(Path(folder) / "data")
        stack.folder.mkdir()
        stack.start()
        try:
            prepared(stack, Path(folder), options.rows)
            measured(stack, options)
        finally:
            stack.stop()


def measured(stack: LaunchedStack, options: argparse.Namespace) -> None:
    """Everything, in one browser."""
    part = next(part for part in stack.record.parts if part.name == "ui")
    assert part.url is not None
    assert part.pid is not None
    with sync_playwright() as playwright:
        found = next(path for name in NAMES if (path := shutil.which(name)))
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        idle = psutil.Process(part.pid).memory_full_info().pss / 1e6
        first, each = memory_per_session(browser, part.url, options.sessions, part.pid)
        paints = first_paints(browser, part.url, options.rounds)
        changes = page_changes(browser, part.url, options.rounds)
        browser.close()
    report(paints, changes, memory=(idle, first, each))


def report(paints: dict[str, tuple[float, float]], changes: list[float], *, memory: tuple[float, float, float]) -> None:
    """Print the tables."""
    console = Console()
    table = Table("page", "first useful paint, empty cache", "warm cache", title="Seconds, median")
    for title, (cold, warm) in paints.items():
        table.add_row(title, f"{cold:.2f}", f"{warm:.2f}")
    console.print(table)
    p95 = statistics.quantiles(changes, n=20)[-1]
    console.print(f"page change: p50 {statistics.median(changes):.2f} s, p95 {p95:.2f} s ({len(changes)} changes)")
    idle, first, each = memory
    console.print(
        f"memory (PSS): {idle:.0f} MB idle, {first:.0f} MB with one session, {each:.1f} MB for each further one"
    )


if __name__ == "__main__":
    main()
