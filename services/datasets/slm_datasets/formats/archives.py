"""Opening an untrusted zip archive: names and counts are checked, and sizes are counted while unpacking.

Format: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
"""

import stat
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from slm_datasets.formats.problems import FileProblemError

MAX_ENTRIES = 10_000
MAX_RATIO = 100
# Below this an entry may be packed as tightly as it likes.
HARMLESS_BYTES = 1024 * 1024
CHUNK_BYTES = 256 * 1024
ENCRYPTED = 0x1
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".zst")
IGNORED = ("__MACOSX/", ".DS_Store", "Thumbs.db")


class Archive:
    """The files of a zip, after every name in it was found harmless. Raises FileProblemError, here and when read."""

    def __init__(self, path: Path, *, max_expanded_bytes: int) -> None:
        self._left = max_expanded_bytes
        self._size = path.stat().st_size
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError):
            raise corrupt() from None
        entries = self._zip.infolist()
        if len(entries) > MAX_ENTRIES:
            raise FileProblemError("archive_too_many_entries", f"The archive has more than {MAX_ENTRIES} entries.")
        self.files = [entry for entry in entries if not entry.is_dir() and not _is_ignored(entry.filename)]
        for entry in entries:
            _check_entry(entry)
        self._check_overlap(entries)

    def _check_overlap(self, entries: list[zipfile.ZipInfo]) -> None:
        """Entries that share their bytes are how a small file unpacks to petabytes."""
        end = 0
        for entry in sorted(entries, key=lambda each: each.header_offset):
            if entry.header_offset < end:
                raise bomb()
            end = entry.header_offset + entry.compress_size
        if end > self._size or sum(entry.file_size for entry in entries) > self._left:
            raise bomb()

    def read(self, entry: zipfile.ZipInfo, *, max_bytes: int) -> bytes:
        """The bytes of one file, at most `max_bytes` of them."""
        data = b"".join(self._chunks(entry))
        if len(data) > max_bytes:
            raise FileProblemError("entry_too_large", f"{entry.filename} is larger than {max_bytes} bytes.")
        return data

    def _chunks(self, entry: zipfile.ZipInfo) -> Iterator[bytes]:
        allowed = min(self._left, max(HARMLESS_BYTES, entry.compress_size * MAX_RATIO))
        size = 0
        try:
            with self._zip.open(entry) as stream:
                while chunk := stream.read(CHUNK_BYTES):
                    size += len(chunk)
                    if size > allowed:
                        raise bomb()
                    yield chunk
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError, ValueError):
            raise corrupt(entry.filename) from None
        # Counted by what came out: the sizes in an archive's directory may lie.
        self._left -= size


def _is_ignored(name: str) -> bool:
    return name.startswith(IGNORED[0]) or PurePosixPath(name).name in IGNORED[1:]


def _check_entry(entry: zipfile.ZipInfo) -> None:
    name = entry.filename
    path = PurePosixPath(name)
    drive = len(name) > 1 and name[1] == ":"
    mode = entry.external_attr >> 16
    is_odd = stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR)
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name or drive or is_odd or not name.strip():
        message = "The archive has an entry whose path leads outside of it, or that is not a regular file."
        raise FileProblemError("archive_unsafe_path", message, hint="Pack a folder of plain files.")
    if entry.flag_bits & ENCRYPTED:
        raise FileProblemError("archive_encrypted", "The archive is encrypted.", hint="Pack it without a password.")
    if path.name.lower().endswith(ARCHIVES) and not entry.is_dir():
        raise FileProblemError(
            "archive_nested", "The archive holds another archive.", hint="Pack the files themselves."
        )


def bomb() -> FileProblemError:
    """An archive that unpacks to far more than it is."""
    return FileProblemError(
        "archive_bomb", "The archive unpacks to more than is allowed.", hint="Upload smaller files."
    )


def corrupt(name: str | None = None) -> FileProblemError:
    """An archive that is damaged."""
    where = f", at {name[:100]!r}" if name else ""
    return FileProblemError("archive_corrupt", f"The archive is damaged or cut off{where}.", hint="Pack it again.")
