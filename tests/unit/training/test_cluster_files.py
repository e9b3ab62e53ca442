"""Files that travel with a training, and the mailbox for its messages."""

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slm_training.worker.cluster.file_transfer import PIECE_BYTES, pack, pieces, unpacked, write_piece
from slm_training.worker.cluster.mailbox import MAX_QUEUED, Mailbox
from tests.support.training_jobs import make_job

ROWS = [{"prompt": "turn on", "completion": "yes"}]


# Some examples write 24 MiB: how long that takes says nothing.
@settings(deadline=None)
@given(sizes=st.lists(st.sampled_from([0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1]), max_size=3))
def test_a_file_arrives_as_it_was(sizes: list[int]) -> None:
    # Not `tmp_path`: each of a hundred examples would leave its files there until the end.
    with TemporaryDirectory() as folder:
        here, there = Path(folder, "here"), Path(folder, "there")
        here.mkdir()
        for number, size in enumerate(sizes):
            (here / str(number)).write_bytes(bytes([number + 1]) * size)
            parts = list(pieces(here / str(number)))
            assert all(len(part) <= PIECE_BYTES for part in parts)
            for index, part in enumerate(parts):
                write_piece(there, f"deep/{number}", part, begins=index == 0)
            assert (there / "deep" / str(number)).read_bytes() == (here / str(number)).read_bytes()


def test_everything_a_job_reads_is_found_where_its_files_were_unpacked(tmp_path: Path) -> None:
    job = make_job(tmp_path / "here", ROWS, row_format="prompt/completion")
    resume = tmp_path / "checkpoint"
    resume.mkdir()
    (resume / "rest.json").write_text("{}")
    job = job.model_copy(update={"resume_folder": resume, "evaluation": job.training})
    kept: list[bytes] = []

    def put(piece: bytes) -> int:
        kept.append(piece)
        return len(kept) - 1

    packed = pack(job, put)
    packed.unpack(tmp_path / "there", kept.__getitem__)
    there = unpacked(job, tmp_path / "there")
    assert there.evaluation is not None
    assert there.resume_folder is not None
    assert there.training.path.read_bytes() == there.evaluation.path.read_bytes() == job.training.path.read_bytes()
    assert (there.resume_folder / "rest.json").read_text() == "{}"
    for file in job.base_folder.iterdir():
        assert (there.base_folder / file.name).read_bytes() == file.read_bytes()
    assert there.output_folder.parent == there.scratch_folder.parent == tmp_path / "there"


@pytest.mark.parametrize("name", ["../outside", "/outside", "in/../../outside"])
def test_nothing_is_written_outside_the_folder(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "job"
    with pytest.raises(ValueError, match="not below"):
        write_piece(folder, name, b"x", begins=True)


async def test_the_mailbox_keeps_the_order_and_lets_nobody_pile_up() -> None:
    mailbox = Mailbox()

    async def speak() -> None:
        for number in range(3 * MAX_QUEUED):
            await mailbox.put({"number": number})

    speaking = asyncio.create_task(speak())
    heard: list[dict[str, int]] = []
    while len(heard) < 3 * MAX_QUEUED:
        found = await mailbox.take(5.0)
        assert 0 < len(found) <= MAX_QUEUED
        heard += found
    await speaking
    assert [each["number"] for each in heard] == list(range(3 * MAX_QUEUED))
    assert await mailbox.take(0.0) == []


async def test_the_mailbox_tells_when_to_drain() -> None:
    mailbox = Mailbox()
    asked = asyncio.create_task(mailbox.drain_requested())
    await mailbox.take(0.0)
    assert not asked.done()
    await mailbox.request_drain()
    assert await asked
