"""A model folder as one tar file, as the platform expects it."""

import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SUFFIXES = frozenset({".jinja", ".json", ".md", ".model", ".safetensors", ".txt"})


@contextmanager
def packed(path: Path) -> Iterator[Path]:
    """The tar file of a model: `path` itself, or while the block lasts a temporary one of the folder `path`.

    Of a folder only what the platform takes is packed: safetensors and text, from it and its folder `adapter`.
    """
    if not path.is_dir():
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "model.tar"
        with tarfile.open(target, mode="w") as tar:
            for file in model_files(path):
                tar.add(file, arcname=str(file.relative_to(path)))
        yield target


def model_files(folder: Path) -> list[Path]:
    """The files of a folder that are packed, sorted."""
    return sorted(
        file
        for file in [*folder.iterdir(), *(folder / "adapter").glob("*")]
        if file.is_file() and file.suffix in SUFFIXES
    )
