"""A real browser in front of the console."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
PATIENCE_MS = 30_000
Size = tuple[int, int]
Scheme = Literal["light", "dark"]
LAPTOP, PHONE = (1280, 800), (390, 844)
# Streamlit asks for these below the page's path before it finds them at the root.
EXPECTED = re.compile(r"404|Failed to load resource")


@contextmanager
def browsing() -> Iterator[Browser]:
    """A headless Chromium that is installed on this machine; skips the test where there is none."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no Chromium is installed (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=found, args=options)
        try:
            yield browser
        finally:
            browser.close()


class Visitor:
    """Somebody who looks at the console and clicks; remembers whatever the page should not have done."""

    def __init__(
        self, browser: Browser, address: str, *, size: tuple[int, int] = LAPTOP, scheme: str = "light"
    ) -> None:
        self._address = address
        view = {"width": size[0], "height": size[1]}
        self._context: BrowserContext = browser.new_context(
            viewport={"width": view["width"], "height": view["height"]},
            color_scheme="dark" if scheme == "dark" else "light",
        )
        self.page: Page = self._context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        self.wrong: list[str] = []
        self.page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        self.page.on("dialog", lambda dialog: self.wrong.append(f"dialog: {dialog.message}"))
        self.page.on("request", lambda request: self._watch(request.url))
        self.page.on("console", lambda told: self._hear(told.type, told.text))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._context.close()

    def _watch(self, url: str) -> None:
        if not url.startswith((self._address, self._address.replace("http", "ws", 1), "data:", "blob:")):
            self.wrong.append(f"asks elsewhere: {url}")

    def _hear(self, kind: str, text: str) -> None:
        if kind == "error" and not EXPECTED.search(text):
            self.wrong.append(f"console: {text}")

    def open(self, path: str) -> None:
        """Go to a page by its address and wait for its head."""
        self.page.goto(f"{self._address}/{path}")
        expect(self.page.locator("h1").first).to_be_visible()

    def click(self, name: str) -> None:
        """Press a button."""
        self.page.get_by_role("button", name=name, exact=True).first.click()

    def follow(self, name: str) -> None:
        """Click a link in the page itself."""
        self.page.get_by_test_id("stMain").get_by_role("link", name=name, exact=True).first.click()

    def fill(self, label: str, text: str) -> None:
        """Type into a field and leave it."""
        field = self.page.get_by_label(label, exact=True).first
        field.fill(text)
        field.press("Tab")

    def choose(self, label: str, option: str) -> None:
        """Pick an entry of a list."""
        self.page.get_by_role("combobox", name=label).first.click()
        self.page.get_by_role("option", name=re.compile(re.escape(option))).first.click()

    def sees(self, text: str) -> Locator:
        """Wait until a text can be read."""
        found = self.page.get_by_text(text, exact=False).filter(visible=True).first
        expect(found).to_be_visible()
        return found

    def has_head(self, text: str) -> None:
        """Wait until the page's head says so."""
        expect(self.page.get_by_role("heading", level=1, name=text).first).to_be_visible()

    def picture(self, path: Path) -> None:
        """Keep what is seen."""
        self.page.screenshot(path=path)
