"""Counts of what looks like personal data: a warning to look closer, not a proof of absence."""

import re
from collections import Counter
from typing import Any

MAX_EXAMPLES = 5
PATTERNS = {
    "email": re.compile(r"\b[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{2,63})+\b"),
    "phone": re.compile(r"(?<![\w.])\+\d{1,3}[ .-]?(?:\(?\d{1,4}\)?[ .-]?){2,5}\d{2,4}(?![\w.])"),
    "ip_address": re.compile(r"(?<![\d.])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![\d.])"),
    "card": re.compile(r"(?<!\d)(?:\d[ -]?){12,18}\d(?!\d)"),
    "iban": re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b"),
}


def kinds_in(text: str) -> set[str]:
    """Which kinds of personal data a text seems to hold."""
    return {kind for kind, pattern in PATTERNS.items() if any(_is_valid(kind, each) for each in pattern.findall(text))}


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
    """How many rows hold which kind, and where the first ones are; the data itself is not repeated."""

    def __init__(self) -> None:
        self._rows: Counter[str] = Counter()
        self._examples: dict[str, list[int]] = {}

    def add(self, number: int, text: str) -> None:
        """Look at one row."""
        for kind in kinds_in(text):
            self._rows[kind] += 1
            places = self._examples.setdefault(kind, [])
            if len(places) < MAX_EXAMPLES:
                places.append(number)

    def as_dict(self) -> dict[str, Any]:
        """Rows and examples by kind."""
        return {kind: {"rows": count, "examples": self._examples[kind]} for kind, count in self._rows.items()}
