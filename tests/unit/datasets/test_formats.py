"""Every form that data comes in, and the row formats that are recognised in it."""

import gzip
import json
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slm_datasets.domain.rows import FIELDS_OF, suggest_mapping
from slm_datasets.formats.problems import MAX_KEPT
from tests.support.processing import problem_of, problems_of, process

ROWS: list[dict[str, Any]] = [{"prompt": f"p{n}", "completion": f"c{n}"} for n in range(9)]
JSONL = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
CSV = pl.DataFrame(ROWS).write_csv().encode()


@pytest.mark.parametrize(
    ("content", "file_format"), [(JSONL, "jsonl"), (CSV, "csv"), (json.dumps(ROWS).encode(), "json")]
)
def test_packed_text_is_unpacked(tmp_path: Path, content: bytes, file_format: str) -> None:
    for compression, packed in (
        ("gzip", gzip.compress(content)),
        ("zstd", pa.compress(content, codec="zstd", asbytes=True)),
    ):
        _, frame = process(tmp_path, packed, file_format, compression=compression)
        assert frame.to_dicts() == ROWS
        cut = problem_of(tmp_path, packed[:-9], file_format, compression=compression)
        assert cut.code == "compressed_corrupt"


def test_what_unpacks_to_too_much_is_stopped(tmp_path: Path) -> None:
    packed = gzip.compress(b" " * 5_000_000)
    problem = problem_of(tmp_path, packed, "jsonl", compression="gzip", max_expanded_bytes=1_000_000)
    assert problem.code == "expands_too_much"
    assert (tmp_path / "unpacked").stat().st_size <= 1_000_000


@pytest.mark.parametrize(
    ("sample_by", "rows"),
    [
        ("line", ["a", "b", "", "c"]),
        ("paragraph", ["a\nb", "c"]),
        ("document", ["a\nb\n\nc"]),
    ],
)
def test_plain_text_is_cut_as_asked(tmp_path: Path, sample_by: str, rows: list[str]) -> None:
    found, frame = process(tmp_path, b"a\nb\n\nc\n", "text", sample_by=sample_by)
    assert frame["text"].to_list() == rows
    assert (found["row_format"], found["data_type"]) == ("text", "text")


def test_a_document_of_several_lists_says_which_one_a_row_was_in(tmp_path: Path) -> None:
    document = {"train": [["hello", "greet"], ['bye, "x"', "part"]], "test": [["hi", "greet"]], "empty": []}
    _, frame = process(tmp_path, json.dumps(document, indent=1).encode(), "json")
    assert frame.to_dicts() == [
        {"split": "train", "column_1": "hello", "column_2": "greet"},
        {"split": "train", "column_1": 'bye, "x"', "column_2": "part"},
        {"split": "test", "column_1": "hi", "column_2": "greet"},
    ]


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ('[{"a": 1},\n\n {"a": "x"}]', "type_conflict", 3),
        ('[{"a": 1},\n {"a": NaN}]', "non_finite_number", 2),
        ('[{"a": 1},\n 7]', "not_an_object", 2),
        ('[{"a": 1}] x', "malformed_json", 1),
        ('[{"a": 1},]', "malformed_json", 1),
        ('{"a": 1, "b": "x"}', "no_single_table", 1),
        ('{"rows": [{"a": 1}], "more": [{"a": 2}], "n": 3}', "no_single_table", 1),
        ('[{"a": 1},\n{"a": ', "truncated", 2),
        ("7", "not_an_object", 1),
        ("", "no_rows", 1),
    ],
)
def test_a_broken_document_is_told_with_its_line(tmp_path: Path, text: str, code: str, line: int) -> None:
    problem = problem_of(tmp_path, text.encode(), "json")
    assert (problem.code, problem.line) == (code, line)


def test_all_problems_are_told_up_to_a_hundred(tmp_path: Path) -> None:
    content = b"".join(b'{"a": %d}\n' % n if n % 2 else b"{\n" for n in range(300))
    problems = problems_of(tmp_path, content, "jsonl")
    assert [problem.line for problem in problems] == list(range(1, 200, 2))
    assert len(problems) == MAX_KEPT


def test_a_problem_names_the_path_and_shows_a_sample(tmp_path: Path) -> None:
    rows = [{"messages": [{"role": "user", "content": "hi"}]}, {"messages": [{"role": "user", "content": 7}]}]
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    problem = problem_of(tmp_path, content, "jsonl")
    assert (problem.code, problem.line, problem.column) == ("type_conflict", 2, "messages")
    assert problem.path == "/messages/0/content"
    assert problem.sample == '{"messages": [{"role": "user", "content": 7}]}'
    assert problem.message == "Line 2 has a number in a column that held a text in line 1."


@pytest.mark.parametrize(
    ("content", "file_format", "left"),
    [
        (b'{"a": 1}\n{"a"\n{"a": 3}\n', "jsonl", [1, 3]),
        (b'\xef\xbb\xbf{"a": 1}\n\xff\n{"a": 3}', "jsonl", [1, 3]),
        (b'[{"a": 1}, 7, {"a": 3}]', "json", [1, 3]),
        (b"a,b\n1,2\n1\n3,4\n", "csv", [1, 3]),
    ],
)
def test_bad_rows_may_be_left_out(tmp_path: Path, content: bytes, file_format: str, left: list[int]) -> None:
    found, frame = process(tmp_path, content, file_format, on_bad_rows="skip")
    assert frame["a"].to_list() == left
    assert (found["skipped_rows"], found["problems"]["total"]) == (1, 1)


def test_a_file_of_bad_rows_only_is_an_error_all_the_same(tmp_path: Path) -> None:
    assert [each.code for each in problems_of(tmp_path, b"[1]\n[2]\n", "jsonl", on_bad_rows="skip")] == [
        "not_an_object"
    ] * 2


@pytest.mark.parametrize(
    ("content", "columns", "dialect"),
    [
        (b"5.1,3.5,setosa\n4.9,3.0,virginica\n", ["column_1", "column_2", "column_3"], (",", False)),
        (b"year,2020,2021\na,1,2\nb,3,4\n", ["year", "2020", "2021"], (",", True)),
        (b"name\tage\nAnn\t3\n", ["name", "age"], ("\t", True)),
        (b'a;b\n"1,5;x";2\n', ["a", "b"], (";", True)),
        (b"text\nhello, world\nbye\n", ["text"], (",", True)),
    ],
)
def test_the_dialect_is_detected(tmp_path: Path, content: bytes, columns: list[str], dialect: tuple[str, bool]) -> None:
    reading = {"on_bad_rows": "skip"}
    has_header = {"has_header": True} if columns[0] == "year" else {}
    found, frame = process(tmp_path, content, "csv", **reading, **has_header)
    assert frame.columns == columns
    assert (found["dialect"]["delimiter"], found["dialect"]["has_header"]) == dialect


def test_sharegpt_becomes_messages(tmp_path: Path) -> None:
    talk = [{"from": "system", "value": "s"}, {"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]
    found, frame = process(tmp_path, json.dumps({"id": "1", "conversations": talk}).encode(), "jsonl")
    assert (found["row_format"], found["source_format"], found["mapping"]) == ("messages", "sharegpt", {})
    assert frame["messages"].to_list() == [
        [{"role": "system", "content": "s"}, {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    ]


def test_alpaca_becomes_prompt_and_completion(tmp_path: Path) -> None:
    rows = [{"instruction": "Add.", "input": "1 2", "output": "3"}, {"instruction": "Hi", "input": "", "output": "Ho"}]
    found, frame = process(tmp_path, "\n".join(map(json.dumps, rows)).encode(), "jsonl")
    assert (found["row_format"], found["source_format"]) == ("prompt/completion", "alpaca")
    assert frame["prompt"].to_list() == ["Add.\n\n1 2", "Hi"]
    assert frame["completion"].to_list() == ["3", "Ho"]


@pytest.mark.parametrize(
    ("mapping", "row_format"),
    [
        ({"text": "b"}, "text"),
        ({"prompt": "a", "completion": "b"}, "prompt/completion"),
        ({"chosen": "a", "rejected": "b"}, "chosen/rejected"),
        ({"prompt": "c", "chosen": "a", "rejected": "b"}, "chosen/rejected"),
    ],
)
def test_a_given_mapping_decides(tmp_path: Path, mapping: dict[str, str], row_format: str) -> None:
    found, _ = process(tmp_path, b'{"a": "x", "b": "y", "c": "z"}\n', "jsonl", mapping=mapping)
    assert (found["row_format"], found["mapping"]) == (row_format, mapping)
    assert set(FIELDS_OF[row_format]) <= set(mapping)


@pytest.mark.parametrize(("mapping", "code"), [({"prompt": "a"}, "unknown_column"), ({"text": "z"}, "unknown_column")])
def test_a_mapping_that_does_not_fit_is_refused(tmp_path: Path, mapping: dict[str, str], code: str) -> None:
    assert problem_of(tmp_path, b'{"a": "x"}\n', "jsonl", mapping=mapping).code == code


def test_what_cannot_be_trained_says_why_and_what_to_do(tmp_path: Path) -> None:
    row = {"ticket": "How do I change my password?", "agent": "Open the settings and choose a new one.", "n": 1}
    found, _ = process(tmp_path, json.dumps(row).encode(), "jsonl")
    assert (found["row_format"], found["data_type"]) == ("columns", "tabular")
    assert found["suggested_mapping"] == {"prompt": "ticket", "completion": "agent"}
    assert "prompt=ticket, completion=agent" in found["untrainable_because"]
    numbers, _ = process(tmp_path, b"a,b\n1,2\n", "csv")
    assert numbers["suggested_mapping"] == {}
    assert "No column holds text" in numbers["untrainable_because"]


def test_suggestions_name_columns_that_are_there() -> None:
    assert suggest_mapping(["body", "title"], {}) == {"text": "body"}
    assert suggest_mapping(["story", "tag"], {"story": 80.0, "tag": 4.0}) == {"prompt": "story", "completion": "tag"}
    assert suggest_mapping([], {}) == {}


def test_large_numbers_are_kept_to_the_last_digit(tmp_path: Path) -> None:
    rows = [{"id": 2**53 + 1, "x": 1.5}, {"id": -(2**63) + 1, "x": 2}, {"id": 2**63 - 1, "x": 1e300}]
    _, frame = process(tmp_path, "\n".join(map(json.dumps, rows)).encode(), "jsonl")
    assert frame.to_dicts() == rows
    assert problem_of(tmp_path, b'{"id": 9223372036854775808}\n', "jsonl").code == "number_out_of_range"


def test_a_colon_in_a_text_is_no_second_key(tmp_path: Path) -> None:
    row = {"text": 'say {"a": 1, "a": 2}', "more": '":":":'}
    _, frame = process(tmp_path, json.dumps(row).encode(), "jsonl")
    assert frame.to_dicts() == [row]
    assert problem_of(tmp_path, b'{"m": [{"a": 1, "a": 2}]}\n', "jsonl").code == "duplicate_column"


def test_the_profile_tells_of_every_column(tmp_path: Path) -> None:
    rows = [{"text": "ab" * n, "n": n, "ok": n > 2, "kind": "x" if n % 2 else "y"} for n in range(1, 5)]
    found, _ = process(tmp_path, "\n".join(map(json.dumps, rows)).encode(), "jsonl")
    text, number, flag, kind = found["profile"]
    assert (text["min_length"], text["max_length"], text["mean_length"], text["nulls"]) == (2, 8, 5.0, 0)
    assert (number["min"], number["max"], number["mean"], flag["true"]) == (1, 4, 2.5, 2)
    assert sum(text["histogram"]["counts"]) == sum(number["histogram"]["counts"]) == 4
    assert {each["value"]: each["rows"] for each in kind["top"]} == {"x": 2, "y": 2}


KEYS = st.text(alphabet="abcdefgh_ ", min_size=1, max_size=4)


@settings(max_examples=60)
@given(st.dictionaries(KEYS, st.sampled_from(["text", "integer", "boolean"]), min_size=1, max_size=4), st.data())
def test_rows_of_any_content_come_out_as_they_went_in(
    tmp_path_factory: pytest.TempPathFactory, kinds: dict[str, str], data: st.DataObject
) -> None:
    values = {"text": st.text(max_size=12), "integer": st.integers(-(2**62), 2**62), "boolean": st.booleans()}
    row = st.fixed_dictionaries({name: st.none() | values[kind] for name, kind in kinds.items()})
    rows = data.draw(st.lists(row, min_size=1, max_size=5))
    content = "\n".join(json.dumps(each) for each in rows).encode()
    folder = tmp_path_factory.mktemp("any")
    for file_format, document in (("jsonl", content), ("json", json.dumps(rows, indent=1).encode())):
        _, frame = process(folder, document, file_format)
        assert [{name: each[name] for name in kinds} for each in frame.to_dicts()] == rows
