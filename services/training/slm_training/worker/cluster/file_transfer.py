"""Files that travel with a training: in pieces, so that nobody holds a whole model in memory."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slm_training.worker.job import LocalDataset, TrainingJob

PIECE_BYTES = 8 * 2**20
RESULT = "result"


@dataclass(frozen=True)
class PackedFiles:
    """The references of the pieces of each file, by its path below the job's folder."""

    files: dict[str, list[Any]]

    def unpack(self, folder: Path, get: Callable[[Any], bytes]) -> None:
        """Write every file below `folder`; `get` leads from a reference to the piece."""
        for name, references in self.files.items():
            for number, reference in enumerate(references):
                write_piece(folder, name, get(reference), begins=number == 0)


def pack(job: TrainingJob, put: Callable[[bytes], Any]) -> PackedFiles:
    """Hand what a job reads to `put`, which returns a reference to each piece."""
    given = {"base": job.base_folder, "training.parquet": job.training.path}
    if job.evaluation is not None:
        given["evaluation.parquet"] = job.evaluation.path
    if job.resume_folder is not None:
        given["resume"] = job.resume_folder
    paths = {name: path for top, given_path in given.items() for name, path in _named(top, given_path)}
    return PackedFiles({name: [put(piece) for piece in pieces(path)] for name, path in paths.items()})


def unpacked(job: TrainingJob, folder: Path) -> TrainingJob:
    """The job with its paths where its files were unpacked; it writes below `folder` too."""

    def moved(dataset: LocalDataset, name: str) -> LocalDataset:
        return dataset.model_copy(update={"path": folder / name})

    return job.model_copy(
        update={
            "base_folder": folder / "base",
            "training": moved(job.training, "training.parquet"),
            "evaluation": moved(job.evaluation, "evaluation.parquet") if job.evaluation else None,
            "resume_folder": folder / "resume" if job.resume_folder else None,
            "output_folder": folder / RESULT,
            "scratch_folder": folder / "scratch",
        }
    )


def files_below(folder: Path) -> list[Path]:
    """Every file, in a fixed order."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def pieces(path: Path) -> Iterator[bytes]:
    """The content of a file in pieces of 8 MiB; one empty piece of an empty file."""
    with path.open("rb") as stream:
        piece = stream.read(PIECE_BYTES)
        yield piece
        while piece := stream.read(PIECE_BYTES):
            yield piece


def write_piece(folder: Path, name: str, piece: bytes, *, begins: bool) -> None:
    """Write or append to `name` below `folder`. Raises ValueError for a name that leads elsewhere."""
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise ValueError(f"{name} is not below the folder of the job")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb" if begins else "ab") as stream:
        stream.write(piece)


def _named(top: str, path: Path) -> Iterator[tuple[str, Path]]:
    if not path.is_dir():
        yield top, path
        return
    for file in files_below(path):
        yield f"{top}/{file.relative_to(path).as_posix()}", file
