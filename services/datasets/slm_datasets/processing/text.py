"""Reading text files line by line, strictly and within bounds."""

import codecs
from collections.abc import Iterator
from pathlib import Path

from slm_datasets.processing.problems import FileProblemError

MAX_LINE_BYTES = 4 * 1024 * 1024
WIDE = {codecs.BOM_UTF16_LE: "UTF-16", codecs.BOM_UTF16_BE: "UTF-16", codecs.BOM_UTF32_LE: "UTF-32"}


def lines_of(path: Path) -> Iterator[tuple[int, str]]:
    """Every line with its number from 1, without a byte order mark, its line end kept.

    Raises FileProblemError for anything that is not UTF-8, for NUL characters, and for lines over 4 MiB.
    """
    with path.open("rb") as stream:
        offset = 0
        for number in range(1, 2**62):
            line = stream.readline(MAX_LINE_BYTES + 1)
            if not line:
                return
            if number == 1:
                _refuse_wide_text(line)
            if len(line) > MAX_LINE_BYTES:
                limit = MAX_LINE_BYTES // 1024**2
                raise FileProblemError("line_too_long", f"Line {number} is longer than {limit} MiB.", number)
            yield number, _decode(line, number, offset)
            offset += len(line)


def _refuse_wide_text(line: bytes) -> None:
    for mark, name in WIDE.items():
        if line.startswith(mark):
            raise FileProblemError(
                "encoding_unsupported", f"The file is encoded as {name}.", 1, hint="Save it as UTF-8 and upload again."
            )


def _decode(line: bytes, number: int, offset: int) -> str:
    if number == 1:
        line = line.removeprefix(codecs.BOM_UTF8)
    if b"\0" in line:
        raise FileProblemError("control_characters", f"Line {number} has a NUL character.", number)
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        place = f"Line {number} is not UTF-8, at byte {offset + error.start} of the file."
        raise FileProblemError("invalid_utf8", place, number, hint="Save the file as UTF-8.") from None
