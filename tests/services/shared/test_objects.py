"""The object store: what is put there can be read, listed and removed."""

from hashlib import sha256
from pathlib import Path

import pytest

from slm_shared.settings import PlatformSettings
from slm_shared.storage.ids import new_id
from slm_shared.storage.objects import ObjectMissingError, ObjectStore

pytestmark = pytest.mark.containers


@pytest.fixture
def objects(platform_settings: PlatformSettings) -> ObjectStore:
    return ObjectStore(platform_settings)


async def test_a_stored_object_is_read_whole_in_part_and_as_a_file(objects: ObjectStore, tmp_path: Path) -> None:
    key, content = f"tests/{new_id()}/ä b.bin", bytes(range(256)) * 4096
    await objects.put_bytes(key, content)
    await objects.download(key, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == content
    assert await objects.get_bytes(key) == content
    assert await objects.get_range(key, offset=250, length=12) == content[250:262]
    assert await objects.sha256(key) == (sha256(content).hexdigest(), len(content))


async def test_a_prefix_is_listed_and_removed_with_all_below_it(objects: ObjectStore) -> None:
    prefix = f"tests/{new_id()}/"
    for name in ("a", "deep/b", "deep/er/c"):
        await objects.put_bytes(prefix + name, name.encode())
    listed = await objects.list(prefix)
    assert [(each.key.removeprefix(prefix), each.size_bytes) for each in listed] == [
        ("a", 1),
        ("deep/b", 6),
        ("deep/er/c", 9),
    ]
    await objects.remove_prefix(prefix)
    assert await objects.list(prefix) == []


async def test_a_missing_object_is_told_apart(objects: ObjectStore) -> None:
    key = f"tests/{new_id()}"
    assert await objects.stat(key) is None
    with pytest.raises(ObjectMissingError):
        await objects.get_bytes(key)
    await objects.remove(key)
