"""The data of `slm demo`: the sample files of this package, or one's own file split in two.

One row in ten is held out for the evaluation, chosen by a hash of the row: the same file always gives the same split,
and rows that occur twice stay on one side.
"""

import csv
import hashlib
import io
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import slm_client
from slm_client.cli.failures import BadInputError

HELD_OUT_ONE_IN = 10
MIN_ROWS = 20
SAMPLES = Path(slm_client.__file__).parent / "samples"
TEXT_FORMATS = {".csv", ".json", ".jsonl", ".ndjson"}


@dataclass(frozen=True)
class DemoData:
    """Two files to upload, and the family their model will have."""

    family: str
    training: Path
    evaluation: Path


def sample_data() -> DemoData:
    """The commands data set: plain-language commands and the structured form a program can act on."""
    return DemoData("commands", SAMPLES / "commands_train.jsonl", SAMPLES / "commands_eval.jsonl")


def family_of(path: Path) -> str:
    """A family name made of a file's name."""
    return re.sub(r"[^a-z0-9]+", "-", path.stem.lower()).strip("-")[:60] or "data"


def split_file(path: Path, folder: Path) -> DemoData:
    """Split one's own CSV, JSON or JSONL file into two files of the same kind in `folder`."""
    suffix = path.suffix.lower()
    family = family_of(path)
    data = DemoData(family, folder / f"{family}-training{suffix}", folder / f"{family}-evaluation{suffix}")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise BadInputError(f"{path} is not UTF-8 text (line {line}).", hint="save it as UTF-8") from error
    splitters: dict[str, Callable[[str, Path, DemoData], None]] = {".csv": _split_csv, ".json": _split_json}
    splitters.get(suffix, _split_jsonl)(text, path, data)
    return data


def _split_jsonl(text: str, path: Path, data: DemoData) -> None:
    lines = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                json.loads(line)
            except ValueError as error:
                raise BadInputError(f"{path}, line {number} is not JSON.") from error
            lines.append(line.strip())
    training, evaluation = _divide(lines, path, key=str)
    data.training.write_text("\n".join(training) + "\n", encoding="utf-8")
    data.evaluation.write_text("\n".join(evaluation) + "\n", encoding="utf-8")


def _split_json(text: str, path: Path, data: DemoData) -> None:
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise BadInputError(f"{path} is not JSON (line {error.lineno}, column {error.colno}).") from error
    if isinstance(content, dict):
        # As an upload reads it: each list of the object is a table of rows.
        content = [row for table in content.values() if isinstance(table, list) for row in table]
    if not isinstance(content, list) or not content:
        raise BadInputError(f"{path} holds no list of rows.", hint='write [{"prompt": …, "completion": …}, …]')
    training, evaluation = _divide(content, path, key=lambda row: json.dumps(row, sort_keys=True))
    data.training.write_text(json.dumps(training, ensure_ascii=False), encoding="utf-8")
    data.evaluation.write_text(json.dumps(evaluation, ensure_ascii=False), encoding="utf-8")


def _split_csv(text: str, path: Path, data: DemoData) -> None:
    rows = [row for row in csv.reader(io.StringIO(text)) if row]
    header, body = rows[:1], rows[1:]
    training, evaluation = _divide(body, path, key=lambda row: "\x1f".join(row))
    for target, part in ((data.training, training), (data.evaluation, evaluation)):
        with target.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([*header, *part])


def _divide(rows: list[Any], path: Path, *, key: Callable[[Any], str]) -> tuple[list[Any], list[Any]]:
    """The rows to train on and the rows held out. Raises BadInputError for too few."""
    if len(rows) < MIN_ROWS:
        raise BadInputError(f"{path} has {len(rows)} rows; the demo needs at least {MIN_ROWS} to hold some out.")
    held_out = [_is_held_out(key(row)) for row in rows]
    training = _pick(rows, (not out for out in held_out))
    evaluation = _pick(rows, held_out)
    # A short file may by chance hold out none; then its last row is the evaluation set.
    return (training, evaluation) if evaluation and training else (rows[:-1], rows[-1:])


def _pick(rows: list[Any], wanted: Iterable[bool]) -> list[Any]:
    return [row for row, keep in zip(rows, wanted, strict=True) if keep]


def _is_held_out(row: str) -> bool:
    digest = hashlib.sha256(row.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:4]) % HELD_OUT_ONE_IN == 0
