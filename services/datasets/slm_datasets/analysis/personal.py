"""Counts of what looks like personal data: a warning to look closer, not a proof of absence.

Where the extra `pii` is installed Presidio looks, at a bounded number of rows; else a set of patterns does.
"""

import re
from collections import Counter
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol

from slm_datasets.analysis.near import sampling_step

MAX_EXAMPLES = 5
PATTERNS_VERSION = "1"
# About 15,000 rows of 500 characters a second.
PATTERNS_ROWS = 20_000
PATTERNS = {
    "email": re.compile(r"\b[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{2,63})+\b"),
    "phone": re.compile(r"(?<![\w.])\+\d{1,3}[ .-]?(?:\(?\d{1,4}\)?[ .-]?){2,5}\d{2,4}(?![\w.])"),
    "ip_address": re.compile(r"(?<![\d.])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![\d.])"),
    "card": re.compile(r"(?<!\d)(?:\d[ -]?){12,18}\d(?!\d)"),
    "iban": re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b"),
}


class Detector(Protocol):
    """Tells which kinds of personal data a text seems to hold.

    It is shown `max_rows` rows at most, and the first `max_characters` of each (None: all of them).
    """

    name: str
    version: str
    max_rows: int
    max_characters: int | None

    def kinds_in(self, text: str) -> set[str]:
        """The kinds, by the names that reports have for them."""


class Patterns:
    """Finds what has a fixed form: addresses, and numbers whose check digits are right."""

    name, version, max_rows = "patterns", PATTERNS_VERSION, PATTERNS_ROWS
    max_characters: int | None = None

    def kinds_in(self, text: str) -> set[str]:
        """Which kinds of personal data a text seems to hold."""
        return {kind for kind, form in PATTERNS.items() if any(_is_valid(kind, each) for each in form.findall(text))}


def is_presidio_installed() -> bool:
    """Whether the extra `pii` is there."""
    return find_spec("presidio_analyzer") is not None


def best_detector(*, max_rows: int) -> Detector:
    """Presidio where it is installed, for `max_rows` rows at most; else the patterns."""
    if not is_presidio_installed():
        return Patterns()
    # Takes more than a second and 100 MB: not for those who only compare datasets.
    detector: Detector = import_module("slm_datasets.analysis.presidio").Presidio(max_rows)
    return detector


def _is_valid(kind: str, found: str) -> bool:
    if kind == "card":
        return _passes_luhn([int(char) for char in found if char.isdigit()])
    return kind != "iban" or _is_iban(found.replace(" ", ""))


def _passes_luhn(digits: list[int]) -> bool:
    """ISO/IEC 7812-1, annex B."""
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    return len(set(digits)) > 1 and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _is_iban(text: str) -> bool:
    """ISO 13616: the number made of letters and digits leaves 1 when divided by 97."""
    moved = text[4:] + text[:4]
    return int("".join(str(int(char, 36)) for char in moved)) % 97 == 1


class Findings:
    """How many rows hold which kind, and where the first ones are; the data itself is not repeated.

    Of `total` rows those that are looked at are spread evenly.
    """

    def __init__(self, detector: Detector, total: int) -> None:
        self._detector = detector
        self._step = sampling_step(total, detector.max_rows)
        self._looked_at = 0
        self._rows: Counter[str] = Counter()
        self._examples: dict[str, list[int]] = {}

    def add(self, number: int, text: str) -> None:
        """Look at one row, if it is its turn."""
        if number % self._step:
            return
        self._looked_at += 1
        for kind in sorted(self._detector.kinds_in(text[: self._detector.max_characters])):
            self._rows[kind] += 1
            places = self._examples.setdefault(kind, [])
            if len(places) < MAX_EXAMPLES:
                places.append(number)

    def as_dict(self) -> dict[str, Any]:
        """Rows and examples by kind; and what looked, at how many rows and characters of each (None: all of them)."""
        kinds = {kind: {"rows": count, "examples": self._examples[kind]} for kind, count in self._rows.items()}
        found, rows = self._detector, self._looked_at
        scan = {"detector": found.name, "version": found.version, "rows": rows, "max_characters": found.max_characters}
        return {"personal_data": kinds, "personal_data_scan": scan}
