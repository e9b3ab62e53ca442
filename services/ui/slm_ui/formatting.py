"""Numbers as people read them. Times are left to the browser, which knows the reader's clock and zone."""

import json
import re
from datetime import datetime
from typing import Any

MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~:$&=^])")
UNITS = ("B", "kB", "MB", "GB", "TB")
STEP = 1000
NONE = "\N{EN DASH}"


def plain(text: object) -> str:
    """A text that Streamlit's Markdown shows exactly as it is.

    >>> plain("[x](y) :red[z] $a$")
    '\\\\[x\\\\]\\\\(y\\\\) \\\\:red\\\\[z\\\\] \\\\$a\\\\$'
    """
    return MARKDOWN.sub(r"\\\1", str(text)).replace("\n", "  \n")


def size(size_bytes: float | None) -> str:
    """A number of bytes in decimal units.

    >>> size(1_530_000)
    '1.5 MB'
    """
    if size_bytes is None:
        return NONE
    value = float(size_bytes)
    for unit in UNITS:
        if value < STEP or unit == UNITS[-1]:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= STEP
    raise AssertionError("unreachable")


def count(number: float | None) -> str:
    """A whole number with thousands separated.

    >>> count(1234567)
    '1,234,567'
    """
    return NONE if number is None else f"{number:,.0f}"


def parameters(number: int | None) -> str:
    """A number of parameters, short.

    >>> parameters(2_870_000), parameters(7_000_000_000)
    ('2.9 M', '7.0 B')
    """
    if number is None:
        return NONE
    for limit, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if number >= limit:
            return f"{number / limit:.1f} {unit}"
    return str(number)


def number(value: object) -> str:
    """A measured value with four significant digits, or whatever else it is as text.

    >>> number(0.00123456), number(12345.6), number("x")
    ('0.001235', '12,346', 'x')
    """
    if value is None:
        return NONE
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int) or abs(value) >= STEP:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def duration(seconds: float | None) -> str:
    """A span of time.

    >>> duration(0.5), duration(75), duration(7260)
    ('0.5 s', '1 min 15 s', '2 h 1 min')
    """
    if seconds is None:
        return NONE
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def between(start: datetime | None, end: datetime | None) -> float | None:
    """Seconds from one time to another, if both are known."""
    return (end - start).total_seconds() if start and end else None


def words(name: object) -> str:
    """A name of the API as words.

    >>> words("in_progress")
    'in progress'
    """
    return str(name).replace("_", " ")


def as_text(value: Any) -> str:
    """Any JSON value as one text."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(as_text, value))
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else number(value)
