"""Unpacking gzip and zstd with a limit on the bytes written: the sizes in the file are not trusted."""

import errno
from pathlib import Path

import pyarrow as pa

from slm_datasets.formats.problems import FileProblemError

CHUNK_BYTES = 1024 * 1024
MAX_RATIO = 1000
# Below this size the ratio means nothing: a kilobyte of blanks is not a zip bomb.
HARMLESS_BYTES = 256 * 1024 * 1024


def unpack(source: Path, target: Path, compression: str, *, max_bytes: int) -> Path:
    """Write what is packed in `source` to `target`. Raises FileProblemError."""
    packed = source.stat().st_size
    allowed = min(max_bytes, max(HARMLESS_BYTES, packed * MAX_RATIO))
    size = 0
    try:
        with pa.OSFile(str(source)) as raw, target.open("wb") as out:
            stream = pa.CompressedInputStream(raw, compression)
            while chunk := stream.read(CHUNK_BYTES):
                size += len(chunk)
                if size > allowed:
                    message = f"The file unpacks to more than {allowed} bytes."
                    raise FileProblemError("expands_too_much", message, hint="Upload it in smaller files.")
                out.write(chunk)
    except (OSError, pa.ArrowException) as error:
        if getattr(error, "errno", None) == errno.ENOSPC:
            # Our disk, not their file: the work is tried again elsewhere or later.
            raise
        message = f"The file cannot be unpacked to its end: its {compression} data is damaged or cut off."
        raise FileProblemError("compressed_corrupt", message, hint="Pack it again.") from None
    return target
