"""What becomes of a file: canonical rows, or the exact place of what is wrong with it."""

import gzip
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from slm_datasets.analysis.profiling import profile
from tests.support.processing import problem_of, process

ROWS: list[dict[str, Any]] = [{"prompt": f"p{n}", "completion": f"c{n}", "n": n} for n in range(50)]
JSONL = "".join(json.dumps(row) + "\n" for row in ROWS).encode()


@pytest.mark.parametrize(
    ("content", "file_format"),
    [
        (JSONL, "jsonl"),
        (b"\xef\xbb\xbf" + JSONL, "jsonl"),
        (JSONL.replace(b"\n", b"\r\n\r\n"), "jsonl"),
        (JSONL.rstrip(b"\n"), "jsonl"),
        (json.dumps(ROWS).encode(), "json"),
        (json.dumps({"about": "x", "rows": ROWS}).encode(), "json"),
        (pl.DataFrame(ROWS).write_csv().encode(), "csv"),
        (pl.DataFrame(ROWS).write_csv(separator=";").encode(), "csv"),
        (pl.DataFrame(ROWS).write_csv(separator="\t").encode(), "csv"),
    ],
)
def test_every_form_of_the_same_rows_gives_the_same_rows(tmp_path: Path, content: bytes, file_format: str) -> None:
    found, frame = process(tmp_path, content, file_format)
    assert frame.to_dicts() == ROWS
    assert (found["rows"], found["row_format"], found["mapping"]) == (50, "prompt/completion", {})
    assert [column["name"] for column in found["columns"]] == ["prompt", "completion", "n"]


def test_parquet_goes_through_unchanged(tmp_path: Path) -> None:
    frame = pl.DataFrame(ROWS)
    path = tmp_path / "given.parquet"
    frame.write_parquet(path)
    found, stored = process(tmp_path, path.read_bytes(), "parquet")
    assert stored.equals(frame)
    assert found["rows"] == 50


def test_csv_values_that_numbers_would_change_stay_text(tmp_path: Path) -> None:
    content = b"zip,price,count,mixed,empty\n01234,1.50,7,x,\n99999,2,-8,1,\n"
    _, frame = process(tmp_path, content, "csv")
    assert frame.to_dicts() == [
        {"zip": "01234", "price": 1.5, "count": 7, "mixed": "x", "empty": None},
        {"zip": "99999", "price": 2.0, "count": -8, "mixed": "1", "empty": None},
    ]


def test_quoted_csv_fields_may_span_lines(tmp_path: Path) -> None:
    _, frame = process(tmp_path, b'prompt,completion\n"a, ""b""\nc",d\n', "csv")
    assert frame.to_dicts() == [{"prompt": 'a, "b"\nc', "completion": "d"}]


@pytest.mark.parametrize(
    ("content", "file_format", "code", "line"),
    [
        (b'{"a": 1}\n{"a": 2\n{"a": 3}\n', "jsonl", "malformed_json", 2),
        (b'{"a": 1}\n\n{"a": 2', "jsonl", "truncated", 3),
        (b'{"a": 1}\n[1]\n', "jsonl", "not_an_object", 2),
        (b'{"a": 1}\n{"a": "x"}\n', "jsonl", "type_conflict", 2),
        (b'{"a": 1}\n{"a": NaN}\n', "jsonl", "non_finite_number", 2),
        (b'{"a": 1}\n{"a": 1e999}\n', "jsonl", "non_finite_number", 2),
        (b'{"a": 1}\n{"a": 1, "a": 2}\n', "jsonl", "duplicate_column", 2),
        (b'{"a": ' + b"9" * 5000 + b"}\n", "jsonl", "number_out_of_range", 1),
        (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n", "jsonl", "too_deep", 1),
        (b'{"a": "x"}\n{"a": "\xff"}\n', "jsonl", "invalid_utf8", 2),
        (b'{"a": "' + b"x" * (4 * 1024 * 1024) + b'"}\n', "jsonl", "line_too_long", 1),
        (b"\n \n", "jsonl", "no_rows", None),
        ('{"a": 1}\n'.encode("utf-16"), "jsonl", "encoding_unsupported", 1),
        (b'[{"a": 1},\n {"a": 2]', "json", "malformed_json", 2),
        (b'{"a": [], "b": []}', "json", "no_single_table", 1),
        (b"[]", "json", "no_rows", None),
        (b"a,b\n1,2\n3\n", "csv", "ragged_row", 3),
        (b"a,b\n", "csv", "no_rows", None),
        (b"a,a\n1,2\n", "csv", "duplicate_column", 1),
        (b"a,\n1,2\n", "csv", "duplicate_column", 1),
        (b"a,b\n1,\x002\n", "csv", "control_characters", 2),
        (b'a,b\n1,"2\n', "csv", "malformed_csv", 2),
        (",".join(f"c{n}" for n in range(5000)).encode() + b"\n", "csv", "too_many_columns", 1),
        (b"PAR1 not really PAR1", "parquet", "parquet_invalid", None),
    ],
)
def test_a_broken_file_is_told_with_its_place(
    tmp_path: Path, content: bytes, file_format: str, code: str, line: int | None
) -> None:
    problem = problem_of(tmp_path, content, file_format)
    assert (problem.code, problem.line) == (code, line)
    assert "\xff" not in problem.message


def test_invalid_utf8_names_the_byte(tmp_path: Path) -> None:
    assert "at byte 18 of the file" in problem_of(tmp_path, b'{"a": "x"}\n{"a": "\xff"}\n', "jsonl").message


def test_a_truncated_parquet_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "given.parquet"
    pl.DataFrame(ROWS).write_parquet(path)
    assert problem_of(tmp_path, path.read_bytes()[:-20], "parquet").code == "parquet_invalid"


@pytest.mark.parametrize(
    ("row", "row_format", "mapping"),
    [
        ({"question": "q", "answer": "a"}, "prompt/completion", {"prompt": "question", "completion": "answer"}),
        ({"Instruction": "q", "Output": "a"}, "prompt/completion", {"prompt": "Instruction", "completion": "Output"}),
        ({"text": "q", "label": "a"}, "prompt/completion", {"prompt": "text", "completion": "label"}),
        ({"text": "q"}, "text", {}),
        ({"messages": [{"role": "user", "content": "q"}]}, "messages", {}),
        ({"prompt": "p", "chosen": "c", "rejected": "r"}, "chosen/rejected", {}),
        ({"carat": 1.0, "cut": "Ideal"}, "columns", {}),
    ],
)
def test_row_formats_are_recognised(
    tmp_path: Path, row: dict[str, Any], row_format: str, mapping: dict[str, str]
) -> None:
    found, _ = process(tmp_path, json.dumps(row).encode(), "jsonl")
    assert (found["row_format"], found["mapping"]) == (row_format, mapping)


def test_columns_named_by_the_user_win(tmp_path: Path) -> None:
    content = b'{"prompt": "p", "completion": "c", "hint": "h"}\n'
    found, _ = process(tmp_path, content, "jsonl", mapping={"completion": "hint"})
    assert found["mapping"] == {"completion": "hint"}


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    problem = problem_of(tmp_path, JSONL, "jsonl", mapping={"prompt": "frage"})
    assert (problem.code, problem.column) == ("unknown_column", "frage")
    assert problem.hint == "It has: prompt, completion, n."


def test_compressed_bytes_are_no_text(tmp_path: Path) -> None:
    assert problem_of(tmp_path, gzip.compress(JSONL), "jsonl").code in {"invalid_utf8", "control_characters"}


def test_there_are_no_more_distinct_values_than_rows(tmp_path: Path) -> None:
    pl.DataFrame({"prompt": [f"say {number}" for number in range(80)], "n": range(80)}).write_parquet(tmp_path / "rows")
    assert max(column["distinct"] for column in profile(tmp_path / "rows")) <= 80
