"""Files that are encoded, numbered or counted otherwise than they should be."""

import io
import struct
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from slm_datasets.formats.problems import MAX_KEPT
from tests.support.processing import problem_of, problems_of, process

ROWS = 12_345


@pytest.mark.parametrize("file_format", ["csv", "jsonl", "json", "text"])
@pytest.mark.parametrize(
    ("encoding", "shown"),
    [("utf-16", "UTF-16"), ("utf-16-be", "UTF-16"), ("utf-32", "UTF-32"), ("utf-32-be", "UTF-32")],
)
def test_wide_text_is_named(tmp_path: Path, file_format: str, encoding: str, shown: str) -> None:
    mark = "\ufeff" if encoding.endswith("be") else ""
    problem = problem_of(tmp_path, f'{mark}{{"a": 1}}\n'.encode(encoding), file_format)
    assert problem.code == "encoding_unsupported"
    assert shown in problem.message
    assert "UTF-8" in (problem.hint or "")


@pytest.mark.parametrize(
    ("content", "file_format", "line", "byte"),
    [
        (b"a,b\n1,caf\xe9\n", "csv", 2, 9),
        (b'{"a": "x"}\n{"a": "caf\xe9"}\n', "jsonl", 2, 21),
        (b'[{"a": "x"},\n {"a": "caf\xe9"}]', "json", 2, 24),
        (b"one\ncaf\xe9\n", "text", 2, 7),
    ],
)
def test_latin_1_is_told_with_its_line_and_byte(
    tmp_path: Path, content: bytes, file_format: str, line: int, byte: int
) -> None:
    problem = problem_of(tmp_path, content, file_format)
    assert (problem.code, problem.line) == ("invalid_utf8", line)
    assert f"at byte {byte} of the file" in problem.message


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    _, frame = process(tmp_path, b"\xef\xbb\xbfname,age\nAnn,3\n", "csv")
    assert frame.to_dicts() == [{"name": "Ann", "age": 3}]


def test_ragged_rows_are_counted_and_the_first_ones_told(tmp_path: Path) -> None:
    problems = problems_of(tmp_path, b"a,b\n1,2\n" + b"1\n" * 150, "csv")
    assert [each.line for each in problems] == list(range(3, 3 + MAX_KEPT))
    assert {each.code for each in problems} == {"ragged_row"}
    found, _ = process(tmp_path, b"a,b\n1,2\n" + b"1\n" * 150, "csv", on_bad_rows="skip")
    assert (found["rows"], found["skipped_rows"], found["problems"]["counts"]) == (1, 150, {"ragged_row": 150})


@pytest.mark.parametrize("literal", [b"NaN", b"Infinity", b"-Infinity", b"1e400", b"-1e999"])
def test_numbers_that_are_none_are_told_with_their_line(tmp_path: Path, literal: bytes) -> None:
    for content, file_format in (
        (b'{"a": 1}\n{"a": %s}\n' % literal, "jsonl"),
        (b'[{"a": 1},\n{"a": %s}]' % literal, "json"),
    ):
        problem = problem_of(tmp_path, content, file_format)
        assert (problem.code, problem.line) == ("non_finite_number", 2)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b'[{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}]", "too_deep"),
        (b'[{"a":' + b"9" * 5000 + b"}]", "number_out_of_range"),
        (b'[{"a": 1}, {"a": ' + b"9" * 30 + b"}]", "number_out_of_range"),
    ],
)
def test_absurd_documents_are_told(tmp_path: Path, content: bytes, code: str) -> None:
    assert problem_of(tmp_path, content, "json").code == code


def parquet(columns: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    return out.getvalue()


def as_thrift(count: int) -> bytes:
    """A number as the footer has it: zigzag, seven bits a byte."""
    left, out = count << 1, bytearray()
    while left > 0x7F:
        out.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes([*out, left])


def lying(places: slice, count: int) -> bytes:
    """A Parquet file of 12,345 rows that claims another number in some of the places where its footer says it."""
    data = bytearray(parquet({"a": list(range(ROWS)), "b": ["x"] * ROWS}))
    footer = len(data) - 8 - struct.unpack("<I", data[-8:-4])[0]
    true, false = as_thrift(ROWS), as_thrift(count)
    assert len(true) == len(false)
    found = [place for place in range(footer, len(data)) if data[place : place + len(true)] == true]
    for place in found[places]:
        data[place : place + len(false)] = false
    return bytes(data)


@pytest.mark.parametrize("count", [99_999, 1_000_000])
@pytest.mark.parametrize("places", [slice(0, 1), slice(0, None), slice(0, None, 6)])
def test_a_parquet_file_that_lies_about_its_rows_is_refused(tmp_path: Path, count: int, places: slice) -> None:
    assert problem_of(tmp_path, lying(places, count), "parquet").code == "parquet_invalid"


def test_types_that_others_named_are_read_as_what_they_are_stored_as(tmp_path: Path) -> None:
    class Odd(pa.ExtensionType):  # type: ignore[misc]  # pyarrow has no types
        def __init__(self) -> None:
            super().__init__(pa.int64(), "example.odd")

        def __arrow_ext_serialize__(self) -> bytes:
            return b""

    odd = pa.ExtensionArray.from_storage(Odd(), pa.array([1, 2]))
    content = parquet({"odd": odd, "json": pa.array(['{"x": 1}'] * 2, pa.json_())})
    found, frame = process(tmp_path, content, "parquet")
    assert frame.schema == {"odd": pl.Int64(), "json": pl.String()}
    assert frame["odd"].to_list() == [1, 2]
    assert [column["type"] for column in found["columns"]] == ["Int64", "String"]
