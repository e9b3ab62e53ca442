"""Plain text as rows of one column `text`, cut as Hugging Face's loader of the same name cuts it.

https://huggingface.co/docs/datasets/nlp_load#local-files
"""

import json
from collections.abc import Iterator
from pathlib import Path

from slm_datasets.formats.problems import FileProblemError
from slm_datasets.formats.text import Advance, lines_of

MAX_SAMPLE_CHARACTERS = 4 * 1024 * 1024


def to_lines(path: Path, target: Path, *, sample_by: str, advance: Advance | None = None) -> int:
    """Write each line, paragraph or the whole document as a JSON line; how many there are. Raises FileProblemError."""
    rows = 0
    with target.open("w", encoding="utf-8", newline="\n") as out:
        for text in _samples(path, sample_by, advance):
            out.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")
            rows += 1
    return rows


def _samples(path: Path, sample_by: str, advance: Advance | None) -> Iterator[str]:
    lines = lines_of(path, advance)
    if sample_by == "line":
        # An empty line is a row like any other, so that what comes out is what went in.
        yield from (line.rstrip("\r\n") for _, line in lines)
        return
    gathered: list[str] = []
    size = 0
    for number, line in lines:
        if sample_by == "paragraph" and not line.strip():
            if gathered:
                yield "".join(gathered).rstrip("\r\n")
            gathered, size = [], 0
            continue
        gathered.append(line)
        size += len(line)
        if size > MAX_SAMPLE_CHARACTERS:
            message = f"A {sample_by} is longer than 4 MiB at line {number}."
            raise FileProblemError("line_too_long", message, number, hint="Cut the text by line.")
    if gathered:
        yield "".join(gathered).rstrip("\r\n")
