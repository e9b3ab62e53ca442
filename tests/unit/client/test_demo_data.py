"""How the demo splits one's own file."""

import csv
import json
from pathlib import Path

import pytest

from slm_client.cli.demo_data import family_of, split_file
from slm_client.cli.failures import BadInputError


def write_jsonl(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


def test_split_is_the_same_each_time_and_loses_nothing(tmp_path: Path) -> None:
    source = write_jsonl(tmp_path / "My Data.jsonl", [{"prompt": str(n), "completion": "x"} for n in range(500)])
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, second = split_file(source, tmp_path / "a"), split_file(source, tmp_path / "b")
    assert first.family == "my-data"
    assert lines(first.training) == lines(second.training)
    assert sorted(lines(first.training) + lines(first.evaluation)) == sorted(lines(source))
    assert 20 <= len(lines(first.evaluation)) <= 90


def test_rows_that_occur_twice_stay_on_one_side(tmp_path: Path) -> None:
    source = write_jsonl(tmp_path / "d.jsonl", [{"prompt": str(n % 50), "completion": "x"} for n in range(500)])
    data = split_file(source, tmp_path)
    assert not set(lines(data.training)) & set(lines(data.evaluation))


def test_csv_keeps_its_header_and_its_quoted_lines(tmp_path: Path) -> None:
    source = tmp_path / "faq.csv"
    with source.open("w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file).writerows([["question", "answer"], *([f"q{n}", 'two\nlines, "quoted"'] for n in range(100))])
    data = split_file(source, tmp_path)
    parts = []
    for path in (data.training, data.evaluation):
        with path.open(newline="") as file:
            parts.append(list(csv.reader(file)))
    assert all(part[0] == ["question", "answer"] for part in parts)
    assert sum(len(part) - 1 for part in parts) == 100
    assert parts[0][1][1] == 'two\nlines, "quoted"'


def test_json_list_is_split_into_two_lists(tmp_path: Path) -> None:
    source = tmp_path / "rows.json"
    source.write_text(json.dumps([{"text": f"row {n}"} for n in range(40)]))
    data = split_file(source, tmp_path)
    assert len(json.loads(data.training.read_text())) + len(json.loads(data.evaluation.read_text())) == 40


def test_json_object_of_lists_is_split_as_one_list(tmp_path: Path) -> None:
    source = tmp_path / "tables.json"
    train, test = [{"text": f"row {n}"} for n in range(40)], [{"text": f"other {n}"} for n in range(8)]
    source.write_text(json.dumps({"version": 1, "train": train, "test": test}))
    data = split_file(source, tmp_path)
    parts = [json.loads(path.read_text()) for path in (data.training, data.evaluation)]
    assert sorted(row["text"] for part in parts for row in part) == sorted(row["text"] for row in train + test)


def test_a_short_file_still_holds_a_row_out(tmp_path: Path) -> None:
    source = write_jsonl(tmp_path / "same.jsonl", [{"prompt": "same", "completion": "x"}] * 20)
    data = split_file(source, tmp_path)
    assert (len(lines(data.training)), len(lines(data.evaluation))) == (19, 1)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("few.jsonl", b'{"a": 1}\n', "at least 20"),
        ("broken.jsonl", b'{"a": 1}\n{"a": \n', "line 2"),
        ("latin.csv", b"a,b\nx,\xe9\n", "line 2"),
        ("object.json", b'{"a": 1}', "list of rows"),
        ("cut.json", b'[{"a": 1},\n{"a"', "line 2"),
        ("empty.csv", b"", "at least 20"),
    ],
)
def test_what_cannot_be_split_is_told_with_its_place(tmp_path: Path, name: str, content: bytes, told: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInputError, match=told):
        split_file(tmp_path / name, tmp_path)


def test_family_names_are_plain() -> None:
    assert family_of(Path("/data/../Ärzte & Co (2024).jsonl")) == "rzte-co-2024"
    assert family_of(Path("....jsonl")) == "data"
