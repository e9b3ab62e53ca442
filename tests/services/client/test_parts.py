"""Sending a big file in parts: only what is missing, each part again by itself, by the sync and the async client."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from slm_client import SlmError
from slm_client.cli.datasets import mapping_of
from slm_client.cli.failures import BadInputError
from tests.support.clients import Ask
from tests.support.fake_platform import NAMES, FakePlatform

DATA = b"0123456789"
SHA256 = hashlib.sha256(DATA).hexdigest()


def state(*stored: bool, url: str | None = None) -> dict[str, Any]:
    places = [(1, 0, 6), (2, 6, 4)]
    parts = [
        {"number": number, "offset": offset, "size_bytes": size, "is_stored": is_stored, "url": url}
        for (number, offset, size), is_stored in zip(places, stored, strict=True)
    ]
    return {"id": "u-1", "status": "open", "file_name": "big.jsonl", "size_bytes": 10, "part_bytes": 6, "parts": parts}


@pytest.fixture
def big(tmp_path: Path) -> Path:
    path = tmp_path / "big.jsonl"
    path.write_bytes(DATA)
    return path


async def test_missing_parts_are_sent_and_the_whole_is_checked(platform: FakePlatform, ask: Ask, big: Path) -> None:
    platform.will_answer(state(True, False), {"number": 2, "offset": 6, "size_bytes": 4})
    platform.will_answer({**NAMES, "status": "in_progress"})
    dataset = await ask(lambda client: client.datasets.upload_in_parts(big, usage="corpus"))
    assert dataset.name == "commands-v1"
    begun, put, completed = platform.asked
    assert json.loads(begun[3]) == {"name": "big", "usage": "corpus", "file_name": "big.jsonl", "size_bytes": 10}
    assert put[:2] == ("PUT", "/api/datasets/uploads/u-1/parts/2")
    assert (put[3], put[2]["x-content-sha256"]) == (b"6789", hashlib.sha256(b"6789").hexdigest())
    assert completed[1] == "/api/datasets/uploads/u-1:complete"
    assert json.loads(completed[3]) == {"sha256": SHA256}


async def test_a_part_that_fails_is_sent_again_by_itself(platform: FakePlatform, ask: Ask, big: Path) -> None:
    platform.will_answer(state(True, False))
    platform.will_refuse(503, "unavailable")
    platform.will_answer({"number": 2, "offset": 6, "size_bytes": 4}, {**NAMES, "status": "in_progress"})
    await ask(lambda client: client.datasets.upload_in_parts(big, resume="u-1"))
    assert [asked[:2] for asked in platform.asked] == [
        ("GET", "/api/datasets/uploads/u-1"),
        ("PUT", "/api/datasets/uploads/u-1/parts/2"),
        ("PUT", "/api/datasets/uploads/u-1/parts/2"),
        ("POST", "/api/datasets/uploads/u-1:complete"),
    ]


async def test_signed_addresses_get_the_bytes_and_no_header_of_ours(
    platform: FakePlatform, ask: Ask, big: Path
) -> None:
    platform.will_answer(state(False, True, url=f"{platform.address}/bucket/key?signature=1"), {})
    platform.will_answer({**NAMES, "status": "in_progress"})
    seen: list[int] = []
    await ask(lambda client: client.datasets.upload_in_parts(big, on_progress=seen.append))
    put = platform.asked[1]
    assert (put[1], put[3]) == ("/bucket/key?signature=1", b"012345")
    assert "authorization" not in put[2]
    assert sum(seen) == 10


async def test_another_file_cannot_go_on_with_an_upload(platform: FakePlatform, ask: Ask, tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    other.write_bytes(b"short")
    platform.will_answer(state(True, False))
    with pytest.raises(SlmError, match="was begun with 10"):
        await ask(lambda client: client.datasets.upload_in_parts(other, resume="u-1"))


def test_mappings_are_pairs() -> None:
    assert mapping_of(["prompt=question", "completion=a=b"]) == {"prompt": "question", "completion": "a=b"}
    assert mapping_of(None) == {}
    with pytest.raises(BadInputError):
        mapping_of(["prompt"])
