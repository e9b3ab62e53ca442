"""Names and kinds of uploaded files."""

import pytest

from slm_datasets.domain.files import FileKind, detect_kind, family_of, shown_file_name, stem_of


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("Commands", "commands"),
        ("My data (final).jsonl", "my-data-final-jsonl"),
        ("commands-v3", "commands"),
        ("../../etc/passwd", "etc-passwd"),
        ("日本", "dataset"),
        ("x" * 200, "x" * 80),
    ],
)
def test_a_family_is_a_plain_slug(name: str, family: str) -> None:
    assert family_of(name) == family


@pytest.mark.parametrize(
    ("name", "shown"),
    [("../../etc/passwd", "passwd"), ("C:\\data\\x.csv", "x.csv"), ("a\x00b\n.csv", "ab.csv"), ("x.csv", "x.csv")],
)
def test_a_file_name_is_shown_without_its_path(name: str, shown: str) -> None:
    assert shown_file_name(name) == shown


@pytest.mark.parametrize(
    ("name", "head", "found"),
    [
        ("a.jsonl", b'{"a": 1}', "jsonl"),
        ("a.jsonl", b' \n[{"a": 1}]', "json"),
        ("a.ndjson", b"{}", "jsonl"),
        ("a.json", b"{}", "json"),
        ("A.CSV", b"a,b", "csv"),
        ("a.parquet", b"PAR1....", "parquet"),
        ("a.csv", b"PAR1....", None),
        ("a.parquet", b"MZ\x90", None),
        ("a.csv", b"PK\x03\x04", None),
        ("a.csv.exe", b"a,b", None),
        ("a.pkl", b"\x80\x04", None),
        ("a", b"a,b", None),
        ("a.tsv", b"a\tb", "csv"),
        ("a.txt", b"hello", "text"),
        ("a.zip", b"PK\x03\x04", "imagefolder"),
        ("a.zip", b"hello", None),
        ("a.jsonl.gz", b"\x1f\x8b\x08", "jsonl+gzip"),
        ("a.csv.zst", b"\x28\xb5\x2f\xfd", "csv+zstd"),
        ("a.jsonl.gz", b"{}", None),
        ("a.jsonl", b"\x1f\x8b\x08", None),
        ("a.parquet.gz", b"\x1f\x8b\x08", None),
        ("a.npy", b"\x93NUMPY", None),
    ],
)
def test_name_and_content_must_agree(name: str, head: bytes, found: str | None) -> None:
    file_format, _, compression = (found or "").partition("+")
    assert detect_kind(name, head) == (FileKind(file_format, compression or None) if found else None)


@pytest.mark.parametrize(
    ("name", "stem"), [("qa.jsonl.gz", "qa"), ("qa.csv", "qa"), ("qa.v2.txt.zst", "qa.v2"), ("qa.exe", "qa.exe")]
)
def test_the_suffixes_of_a_file_are_no_part_of_its_name(name: str, stem: str) -> None:
    assert stem_of(name) == stem
