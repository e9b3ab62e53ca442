"""Zips of images: what is read, and every way in which an archive of a stranger may mean harm."""

import io
import json
import stat
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from PIL import Image

from slm_datasets.domain.keys import THUMBNAILS
from tests.support.processing import problem_of, problems_of, process


def picture(size: tuple[int, int] = (8, 6), *, mode: str = "RGB", suffix: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    Image.new(mode, size, 128 if mode in ("L", "P") else None).save(out, suffix, **options)
    return out.getvalue()


def zipped(files: dict[str, bytes], **options: Any) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", **{"compression": zipfile.ZIP_DEFLATED, **options}) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def opened(row: dict[str, Any]) -> Image.Image:
    return Image.open(io.BytesIO(row["image"]["bytes"]))


def test_folders_name_labels(tmp_path: Path) -> None:
    content = zipped({"cat/a.png": picture(), "dog/b.jpg": picture(suffix="JPEG"), "__MACOSX/cat/._a.png": b"x"})
    found, frame = process(tmp_path, content, "imagefolder")
    assert (found["rows"], found["data_type"], found["row_format"]) == (2, "images", "images")
    assert frame["label"].to_list() == ["cat", "dog"]
    assert [row["image"]["path"] for row in frame.to_dicts()] == ["cat/a.png", "dog/b.jpg"]
    assert all(opened(row).format == "PNG" for row in frame.to_dicts())
    thumbnails = pl.read_parquet(tmp_path / THUMBNAILS)
    assert len(thumbnails) == 2


def test_first_folders_may_be_splits(tmp_path: Path) -> None:
    content = zipped({"train/cat/a.png": picture(), "test/dog/b.png": picture()})
    _, frame = process(tmp_path, content, "imagefolder")
    assert frame.select("split", "label").rows() == [("test", "dog"), ("train", "cat")]


def test_metadata_adds_columns_by_file_name(tmp_path: Path) -> None:
    lines = [{"file_name": "a.png", "caption": "one", "n": 1}, {"file_name": "sub/b.png", "caption": "two", "n": 2}]
    metadata = "\n".join(map(json.dumps, lines)).encode()
    content = zipped({"metadata.jsonl": metadata, "a.png": picture(), "sub/b.png": picture(), "c.png": picture()})
    _, frame = process(tmp_path, content, "imagefolder")
    assert frame.select("caption", "n").rows() == [("one", 1), (None, None), ("two", 2)]
    broken = zipped({"metadata.jsonl": b'{"caption": "x"}\n', "a.png": picture()})
    assert problem_of(tmp_path, broken, "imagefolder").code == "metadata_invalid"


def test_images_are_written_anew(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = picture((8, 4), suffix="JPEG", exif=exif)
    frames = io.BytesIO()
    Image.new("L", (4, 4), 0).save(
        frames, "GIF", save_all=True, append_images=[Image.new("L", (4, 4), 255)], duration=100
    )
    polyglot = picture() + b"<html><script>alert(1)</script></html>"
    content = zipped(
        {
            "a-cmyk.jpg": picture(mode="CMYK", suffix="JPEG"),
            "b-turned.jpg": turned,
            "c-animated.gif": frames.getvalue(),
            "d-polyglot.png": polyglot,
            "e-dot.png": picture((1, 1)),
        }
    )
    _, frame = process(tmp_path, content, "imagefolder")
    rows = frame.to_dicts()
    assert [opened(row).mode for row in rows] == ["RGB", "RGB", "RGB", "RGB", "RGB"]
    assert opened(rows[1]).size == (4, 8)
    assert getattr(opened(rows[2]), "n_frames", 1) == 1
    assert b"script" not in rows[3]["image"]["bytes"]
    assert opened(rows[4]).size == (1, 1)


def huge_header() -> bytes:
    """A PNG whose header claims 30,000 by 30,000 pixels."""
    data = bytearray(picture())
    data[16:24] = struct.pack(">II", 30_000, 30_000)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    return bytes(data)


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("a.png", huge_header(), "image_too_large"),
        ("a.png", b"no image at all", "image_invalid"),
        ("a.png", picture()[:40], "image_invalid"),
        ("a.png", b"\x00\x00\x01\x00" + picture(), "image_invalid"),
        ("a.svg", b"<svg/>", "type_not_allowed"),
        ("a.html", b"<html/>", "type_not_allowed"),
    ],
)
def test_what_is_no_image_is_refused(tmp_path: Path, name: str, data: bytes, code: str) -> None:
    assert problem_of(tmp_path, zipped({name: data}), "imagefolder").code == code


def test_more_pixels_than_allowed_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    out = io.BytesIO()
    Image.new("1", (8000, 7000)).save(out, "PNG")
    assert problem_of(tmp_path, zipped({"a.png": out.getvalue()}), "imagefolder").code == "image_too_large"


def test_bad_images_may_be_left_out(tmp_path: Path) -> None:
    content = zipped({"a.png": picture(), "b.png": b"broken", "c.png": picture()})
    assert [each.path for each in problems_of(tmp_path, content, "imagefolder")] == ["b.png"]
    found, frame = process(tmp_path, content, "imagefolder", on_bad_rows="skip")
    assert (found["rows"], found["skipped_rows"], len(frame)) == (2, 1, 2)


@pytest.mark.parametrize(
    "name", ["../evil.png", "/etc/evil.png", "a/../../evil.png", "..\\evil.png", "C:\\evil.png", "C:evil.png"]
)
def test_paths_that_lead_outside_are_refused(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "work" / "deep"
    folder.mkdir(parents=True)
    assert problem_of(folder, zipped({name: picture()}), "imagefolder").code == "archive_unsafe_path"
    assert not list(tmp_path.rglob("evil*"))


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO])
def test_entries_that_are_no_plain_files_are_refused(tmp_path: Path, kind: int) -> None:
    entry = zipfile.ZipInfo("link.png")
    entry.external_attr = (kind | 0o777) << 16
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(entry, "/etc/passwd")
    assert problem_of(tmp_path, out.getvalue(), "imagefolder").code == "archive_unsafe_path"


def test_an_entry_that_unpacks_a_thousandfold_is_a_bomb(tmp_path: Path) -> None:
    content = zipped({"a.png": b"\0" * 20_000_000})
    assert problem_of(tmp_path, content, "imagefolder").code == "archive_bomb"


def test_more_than_may_be_unpacked_is_a_bomb(tmp_path: Path) -> None:
    content = zipped({f"{n}.png": picture((64, 64)) + bytes(range(256)) * 40 for n in range(20)})
    assert problem_of(tmp_path, content, "imagefolder", max_expanded_bytes=100_000).code == "archive_bomb"


def test_entries_that_share_their_bytes_are_a_bomb(tmp_path: Path) -> None:
    content = bytearray(zipped({"a.png": picture(), "b.png": picture()}))
    second = content.rindex(b"PK\x01\x02")
    content[second + 42 : second + 46] = struct.pack("<I", 0)
    assert problem_of(tmp_path, bytes(content), "imagefolder").code in {"archive_bomb", "archive_corrupt"}


def test_a_forged_size_is_found_by_counting(tmp_path: Path) -> None:
    content = bytearray(zipped({"a.png": b"\0" * 20_000_000}))
    for mark, place in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        start = content.rindex(mark)
        content[start + place : start + place + 4] = struct.pack("<I", 100)
    assert problem_of(tmp_path, bytes(content), "imagefolder").code in {"archive_bomb", "archive_corrupt"}


def test_an_archive_in_an_archive_is_refused(tmp_path: Path) -> None:
    assert (
        problem_of(tmp_path, zipped({"inner.zip": zipped({"a.png": picture()})}), "imagefolder").code
        == "archive_nested"
    )


def test_an_encrypted_archive_is_refused(tmp_path: Path) -> None:
    content = bytearray(zipped({"a.png": picture()}))
    for mark, place in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        start = content.rindex(mark)
        content[start + place] |= 1
    assert problem_of(tmp_path, bytes(content), "imagefolder").code == "archive_encrypted"


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    content = bytearray(zipped({"a.png": picture((64, 64))}, compression=zipfile.ZIP_STORED))
    content[60] ^= 0xFF
    assert problem_of(tmp_path, bytes(content), "imagefolder").code in {"archive_corrupt", "image_invalid"}
    assert problem_of(tmp_path, bytes(content[:-30]), "imagefolder").code == "archive_corrupt"


def test_bytes_before_the_archive_do_no_harm(tmp_path: Path) -> None:
    found, _ = process(tmp_path, b"junk" * 10 + zipped({"a.png": picture()}), "imagefolder")
    assert found["rows"] == 1


def test_too_many_entries_are_refused_and_none_are_no_rows(tmp_path: Path) -> None:
    many = zipped({f"{n}.txt": b"" for n in range(10_001)}, compression=zipfile.ZIP_STORED)
    assert problem_of(tmp_path, many, "imagefolder").code == "archive_too_many_entries"
    empty = zipped({f"{n}.txt": b"" for n in range(10_000)}, compression=zipfile.ZIP_STORED)
    assert problem_of(tmp_path, empty, "imagefolder").code == "no_rows"


def test_an_archive_in_the_64_bit_form_is_read(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive, archive.open("a.png", "w", force_zip64=True) as entry:
        entry.write(picture())
    found, _ = process(tmp_path, out.getvalue(), "imagefolder")
    assert found["rows"] == 1


def test_bytes_behind_the_archive_do_no_harm_unless_it_is_lost_among_them(tmp_path: Path) -> None:
    found, _ = process(tmp_path, zipped({"a.png": picture()}) + b"junk" * 10, "imagefolder")
    assert found["rows"] == 1
    lost = zipped({"a.png": picture()}) + b"junk" * 100_000
    assert problem_of(tmp_path, lost, "imagefolder").code == "archive_corrupt"


def test_an_entry_whose_bytes_changed_is_found_by_its_checksum(tmp_path: Path) -> None:
    content = bytearray(zipped({"a.bmp": picture((64, 64), suffix="BMP")}, compression=zipfile.ZIP_STORED))
    # A pixel: the image itself would still be read.
    content[5000] ^= 0xFF
    assert problem_of(tmp_path, bytes(content), "imagefolder").code == "archive_corrupt"
