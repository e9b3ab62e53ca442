"""Reading text files line by line, strictly and within bounds."""

import codecs
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from slm_datasets.formats.problems import FileProblemError, sample_of

MAX_LINE_BYTES = 4 * 1024 * 1024
# The mark of UTF-32 begins as that of UTF-16 does.
WIDE = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
REPORT_EVERY_BYTES = 8 * 1024 * 1024

Advance = Callable[[int], None]
"""Called with how many bytes of the file are done."""


def raw_lines_of(path: Path, advance: Advance | None = None) -> Iterator[tuple[int, int, bytes]]:
    """Every line as number (from 1), offset in bytes and bytes, without a byte order mark, its line end kept.

    A line over 4 MiB comes as its first 4 MiB and one byte; the rest of it is passed over, never held in memory.
    Raises FileProblemError for a file that is UTF-16 or UTF-32.
    """
    offset = told = 0
    with path.open("rb") as stream:
        for number, line in enumerate(iter(partial(stream.readline, MAX_LINE_BYTES + 1), b""), start=1):
            size = len(line)
            if number == 1:
                _refuse_wide_text(line)
                line = line.removeprefix(codecs.BOM_UTF8)
            if size > MAX_LINE_BYTES and not line.endswith(b"\n"):
                size += _pass_over(partial(stream.readline, MAX_LINE_BYTES))
            yield number, offset, line
            offset += size
            if advance and offset - told >= REPORT_EVERY_BYTES:
                told = offset
                advance(offset)


def _pass_over(read: Callable[[], bytes]) -> int:
    size = 0
    while rest := read():
        size += len(rest)
        if rest.endswith(b"\n"):
            break
    return size


def lines_of(path: Path, advance: Advance | None = None) -> Iterator[tuple[int, str]]:
    """Every line with its number from 1, without a byte order mark, its line end kept.

    Raises FileProblemError for anything that is not UTF-8, for NUL characters, and for lines over 4 MiB.
    """
    for number, offset, line in raw_lines_of(path, advance):
        yield number, decode_line(line, number, offset)


def decode_line(line: bytes, number: int, offset: int) -> str:
    """The text of a line. Raises FileProblemError."""
    if len(line) > MAX_LINE_BYTES:
        limit = MAX_LINE_BYTES // 1024**2
        raise FileProblemError("line_too_long", f"Line {number} is longer than {limit} MiB.", number)
    if (place := line.find(b"\0")) >= 0:
        raise FileProblemError(
            "control_characters",
            f"Line {number} has a NUL character.",
            number,
            position=place + 1,
            sample=sample_of(line.decode("utf-8", "replace"), place + 1),
        )
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        place = error.start
        raise FileProblemError(
            "invalid_utf8",
            f"Line {number} is not UTF-8, at byte {offset + place} of the file.",
            number,
            hint="Save the file as UTF-8.",
            position=place + 1,
            sample=sample_of(line.decode("utf-8", "replace"), place + 1),
        ) from None


def _refuse_wide_text(line: bytes) -> None:
    for mark, name in WIDE.items():
        if line.startswith(mark):
            raise FileProblemError(
                "encoding_unsupported", f"The file is encoded as {name}.", 1, hint="Save it as UTF-8 and upload again."
            )
