"""A zip of images as rows, by the convention of Hugging Face's `imagefolder`.

Folders name labels, `metadata.jsonl` or `metadata.csv` adds columns by `file_name`. Each image is decoded and written
anew as PNG: turned upright, one frame, without anything that hides behind its pixels. The rows keep the layout
of the `Image` feature (`bytes` and `path`). https://huggingface.co/docs/datasets/image_dataset
"""

import csv
import io
import json
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, ImageOps, UnidentifiedImageError

from slm_datasets.domain.keys import THUMBNAILS
from slm_datasets.formats import json_rows
from slm_datasets.formats.archives import Archive
from slm_datasets.formats.problems import FileProblemError, ProblemLog
from slm_datasets.formats.reading import BadRowsError, OnProgress, Reading, no_rows

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff")
DECODERS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
METADATA = ("metadata.jsonl", "metadata.csv")
SPLITS = ("train", "training", "test", "validation", "valid", "val")
MAX_PIXELS = 50_000_000
MAX_IMAGE_BYTES = 64 * 1024 * 1024
MAX_METADATA_BYTES = 64 * 1024 * 1024
THUMBNAIL_PIXELS = 128
# Images are in memory one group at a time, here and in every preview.
ROWS_PER_GROUP = 64
IMAGE_TYPE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


@dataclass
class _Plan:
    """What the rows will have beside their images."""

    entries: list[zipfile.ZipInfo] = field(default_factory=list)
    has_labels: bool = False
    has_splits: bool = False
    metadata: dict[str, dict[str, Any]] = field(default_factory=dict)
    schema: dict[str, Any] = field(default_factory=dict)


def write_images(source: Path, target: Path, reading: Reading, log: ProblemLog, tell: OnProgress) -> int:
    """Check every image of a zip, write `target` and thumbnails beside it; the number of rows.

    Raises FileProblemError and BadRowsError.
    """
    archive = Archive(source, max_expanded_bytes=reading.max_expanded_bytes)
    plan = _plan(archive, target.parent)
    schema = _schema(plan)
    rows = 0
    with (
        pq.ParquetWriter(target, schema, compression="zstd") as out,
        pq.ParquetWriter(target.with_name(THUMBNAILS), pa.schema([("png", pa.binary())]), compression="none") as small,
    ):
        batch: list[tuple[dict[str, Any], bytes]] = []
        for number, row, thumbnail in _images(archive, plan, log):
            batch.append((row, thumbnail))
            rows += 1
            if len(batch) == ROWS_PER_GROUP:
                _write(batch, out, small)
                batch = []
                tell("checking", number, len(plan.entries))
        if batch:
            _write(batch, out, small)
    if log.total and reading.on_bad_rows == "fail":
        raise BadRowsError(log)
    if not rows:
        raise no_rows(log)
    return rows


def _write(batch: list[tuple[dict[str, Any], bytes]], out: pq.ParquetWriter, small: pq.ParquetWriter) -> None:
    out.write_table(pa.Table.from_pylist([row for row, _ in batch], schema=out.schema))
    small.write_table(pa.Table.from_pylist([{"png": each} for _, each in batch], schema=small.schema))


def _plan(archive: Archive, folder: Path) -> _Plan:
    plan = _Plan()
    for entry in archive.files:
        name = PurePosixPath(entry.filename).name.lower()
        if name.endswith(SUFFIXES):
            plan.entries.append(entry)
        elif name in METADATA:
            _read_metadata(archive.read(entry, max_bytes=MAX_METADATA_BYTES), entry, plan, folder)
        elif name.endswith((".svg", ".html", ".htm", ".exe", ".js")):
            message = f"{name[:100]!r} is no image that is accepted here."
            raise FileProblemError("type_not_allowed", message, hint=f"Accepted are {', '.join(SUFFIXES)}.")
    plan.entries.sort(key=lambda entry: entry.filename)
    plan.has_splits = _all_in(plan.entries, SPLITS)
    labels = {_label(entry, plan) for entry in plan.entries}
    plan.has_labels = None not in labels and len(labels) > 1 and not plan.metadata
    return plan


def _all_in(entries: list[zipfile.ZipInfo], names: tuple[str, ...]) -> bool:
    firsts = [PurePosixPath(entry.filename).parts for entry in entries]
    return bool(firsts) and all(len(parts) > 1 and parts[0].lower() in names for parts in firsts)


def _label(entry: zipfile.ZipInfo, plan: _Plan) -> str | None:
    folders = PurePosixPath(entry.filename).parts[:-1]
    folders = folders[1:] if plan.has_splits else folders
    return folders[-1] if folders else None


def _read_metadata(data: bytes, entry: zipfile.ZipInfo, plan: _Plan, folder: Path) -> None:
    """Add the columns of one metadata file, by the paths of the images beside it."""
    path = folder / "metadata.jsonl"
    if entry.filename.lower().endswith(".csv"):
        rows = csv.DictReader(io.StringIO(data.decode("utf-8-sig", "replace")))
        path.write_text("".join(json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in rows))
    else:
        path.write_bytes(data)
    log = ProblemLog()
    checked = json_rows.check_lines(path, log)
    if log.items:
        problem = log.items[0]
        problem.message = f"{entry.filename[:100]}: {problem.message}"
        raise problem
    if "file_name" not in checked.root.fields:
        message = f"{entry.filename[:100]} has no column file_name."
        raise FileProblemError("metadata_invalid", message, column="file_name", hint="Name each image's path there.")
    frame = pl.read_ndjson(path, schema=checked.schema())
    beside = PurePosixPath(entry.filename).parent
    plan.schema |= {name: kind for name, kind in frame.schema.items() if name not in ("file_name", "image")}
    for row in frame.iter_rows(named=True):
        plan.metadata[str(beside / str(row.pop("file_name")))] = row


def _schema(plan: _Plan) -> pa.Schema:
    fields = [pa.field("image", IMAGE_TYPE)]
    fields += [pa.field("split", pa.string())] if plan.has_splits else []
    fields += [pa.field("label", pa.string())] if plan.has_labels else []
    extra = pl.DataFrame(schema={name: kind for name, kind in plan.schema.items()}).to_arrow().schema
    known = {each.name for each in fields}
    return pa.schema([*fields, *(each for each in extra if each.name not in known)])


def _images(archive: Archive, plan: _Plan, log: ProblemLog) -> Iterator[tuple[int, dict[str, Any], bytes]]:
    """Number (from 1), row and thumbnail of every image that can be read; the others go to `log`."""
    for number, entry in enumerate(plan.entries, start=1):
        try:
            image, thumbnail = _decoded(archive.read(entry, max_bytes=MAX_IMAGE_BYTES), entry.filename)
        except FileProblemError as problem:
            if problem.code.startswith("archive_"):
                raise
            problem.line, problem.path = number, entry.filename[:200]
            log.add(problem)
            continue
        row: dict[str, Any] = {"image": {"bytes": image, "path": entry.filename}}
        if plan.has_splits:
            row["split"] = PurePosixPath(entry.filename).parts[0]
        if plan.has_labels:
            row["label"] = _label(entry, plan)
        yield number, {**row, **plan.metadata.get(entry.filename, {})}, thumbnail


def _decoded(data: bytes, name: str) -> tuple[bytes, bytes]:
    """An image, written again as PNG, and its thumbnail. Raises FileProblemError."""
    shown = repr(PurePosixPath(name).name[:100])
    try:
        with warnings.catch_warnings():
            # Our own limits decide what is too large.
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=DECODERS) as opened:
                if opened.width * opened.height > MAX_PIXELS:
                    raise _too_large(shown)
                # Of an animation the first frame.
                opened.seek(0)
                image = ImageOps.exif_transpose(opened)
                plain = image if image.mode in ("L", "RGB", "RGBA") else image.convert(_mode_for(image))
                return _png(plain), _thumbnail(plain)
    except Image.DecompressionBombError:
        raise _too_large(shown) from None
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError, KeyError):
        message = f"{shown} is not an image that can be read to its end."
        raise FileProblemError("image_invalid", message, hint="Save it again, or leave it out.") from None


def _too_large(shown: str) -> FileProblemError:
    limit = MAX_PIXELS // 1_000_000
    return FileProblemError(
        "image_too_large", f"{shown} has more than {limit} million pixels.", hint="Make it smaller."
    )


def _mode_for(image: Image.Image) -> str:
    if image.mode in ("LA", "PA") or "transparency" in image.info:
        return "RGBA"
    return "L" if image.mode in ("1", "I", "I;16", "F") else "RGB"


def _png(image: Image.Image) -> bytes:
    # A copy has the pixels only: `save` would write EXIF, text and profiles of the original too.
    clean = Image.new(image.mode, image.size)
    clean.paste(image)
    out = io.BytesIO()
    clean.save(out, "PNG")
    return out.getvalue()


def _thumbnail(image: Image.Image) -> bytes:
    small = image.copy()
    small.thumbnail((THUMBNAIL_PIXELS, THUMBNAIL_PIXELS))
    return _png(small)
