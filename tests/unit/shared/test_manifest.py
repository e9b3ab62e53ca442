"""Manifests of artifacts."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from slm_shared.storage.manifest import Manifest, ManifestFile, build_manifest


def test_a_manifest_lists_every_file_with_size_and_hash(tmp_path: Path) -> None:
    (tmp_path / "adapter").mkdir()
    (tmp_path / "b.txt").write_bytes(b"b")
    (tmp_path / "adapter" / "a.txt").write_bytes(b"abc")
    (tmp_path / "manifest.json").write_bytes(b"{}")
    manifest = build_manifest(tmp_path)
    assert [(file.path, file.size_bytes) for file in manifest.files] == [("adapter/a.txt", 3), ("b.txt", 1)]
    assert manifest.files[0].sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert Manifest.model_validate_json(manifest.to_bytes()) == manifest


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../x", "a\\..\\x", ""])
def test_paths_that_leave_the_artifact_are_refused(path: str) -> None:
    with pytest.raises(ValidationError):
        ManifestFile(path=path, size_bytes=1, sha256="0")
