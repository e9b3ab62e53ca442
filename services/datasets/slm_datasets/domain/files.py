"""Names and kinds of uploaded files."""

import re
from dataclasses import dataclass
from pathlib import PurePath

MAX_NAME_LENGTH = 80

FORMAT_OF_SUFFIX = {
    ".csv": "csv",
    ".tsv": "csv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".txt": "text",
    ".zip": "imagefolder",
}
"""The format that a file name's last suffix stands for; `.zip` is a folder of images."""

COMPRESSION_OF_SUFFIX = {".gz": "gzip", ".zst": "zstd"}
COMPRESSION_MAGIC = {"gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd"}
# Parquet compresses its own pages, a zip its own entries.
COMPRESSIBLE = ("csv", "json", "jsonl", "text")
MAGIC_OF_FORMAT = {"parquet": (b"PAR1",), "imagefolder": (b"PK\x03\x04", b"PK\x05\x06")}
# First bytes of files that are not text, whatever their name.
FOREIGN_MAGIC = (
    b"PK\x03\x04",
    b"\x1f\x8b",
    b"\x28\xb5\x2f\xfd",
    b"PAR1",
    b"MZ",
    b"\x7fELF",
    b"%PDF",
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"\x80\x04",
    b"\x93NUMPY",
    b"BZh",
)
# Byte order marks of other encodings: text all the same, and the reader says which encoding it is.
WIDE_TEXT = (b"\xff\xfe", b"\xfe\xff")
ACCEPTED_SUFFIXES = tuple(sorted(FORMAT_OF_SUFFIX)) + tuple(sorted(COMPRESSION_OF_SUFFIX))


@dataclass(frozen=True)
class FileKind:
    """What a file is: its format, and how it is packed (`gzip`, `zstd` or not at all)."""

    format: str
    compression: str | None = None


def family_of(name: str) -> str:
    """The family a given name stands for: lower case words joined by hyphens, without a version at its end."""
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return re.sub(r"-v\d+$", "", slug[:MAX_NAME_LENGTH].strip("-")) or "dataset"


def shown_file_name(name: str) -> str:
    """A client's file name as it may be shown: the last part of its path, printable characters only."""
    last = PurePath(name.replace("\\", "/")).name
    return "".join(char for char in last if char.isprintable())[:200]


def stem_of(file_name: str) -> str:
    """The file name without the suffixes that tell its kind: `qa.jsonl.gz` is `qa`."""
    path = PurePath(file_name)
    if path.suffix.lower() in COMPRESSION_OF_SUFFIX:
        path = PurePath(path.stem)
    return path.stem if path.suffix.lower() in FORMAT_OF_SUFFIX else path.name


def kind_by_name(file_name: str) -> FileKind | None:
    """The kind of file that a name stands for; None for a suffix that is not accepted."""
    path = PurePath(file_name.lower())
    compression = COMPRESSION_OF_SUFFIX.get(path.suffix)
    if compression is not None:
        path = PurePath(path.stem)
    file_format = FORMAT_OF_SUFFIX.get(path.suffix)
    if file_format is None or (compression is not None and file_format not in COMPRESSIBLE):
        return None
    return FileKind(file_format, compression)


def detect_kind(file_name: str, head: bytes) -> FileKind | None:
    """Format and compression from the name's suffixes and the first bytes; None when they disagree.

    A JSON file's content decides whether it is one document or one per line.
    """
    named = kind_by_name(file_name)
    if named is None:
        return None
    if named.compression is not None:
        return named if head.startswith(COMPRESSION_MAGIC[named.compression]) else None
    if named.format in MAGIC_OF_FORMAT:
        return named if head.startswith(MAGIC_OF_FORMAT[named.format]) else None
    if head.startswith(WIDE_TEXT):
        return named
    if head.startswith(FOREIGN_MAGIC):
        return None
    return FileKind(text_format(named.format, head))


def text_format(named: str, head: bytes) -> str:
    """The format of a text file that calls itself `named`: what begins as a JSON list is one JSON document."""
    is_list = named == "jsonl" and head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[")
    return "json" if is_list else named
