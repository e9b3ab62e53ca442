"""Which code a checkout holds."""

import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest

from slm_shared.observability.code_version import BAKED_IN, code_version, commit_of


def git(folder: Path, *arguments: str) -> str:
    """Run git as somebody, without anybody's settings."""
    who = ["-c", "user.name=Tester", "-c", "user.email=tester@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", "-C", str(folder), *who, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_checkout_tells_its_commit_and_whether_files_differ(tmp_path: Path) -> None:
    assert commit_of(tmp_path) is None
    git(tmp_path, "init", "--quiet")
    assert commit_of(tmp_path) is None
    (tmp_path / "code.py").write_text("1\n")
    git(tmp_path, "add", "code.py")
    git(tmp_path, "commit", "--quiet", "--message", "One")
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert (len(commit), commit_of(tmp_path)) == (40, commit)
    (tmp_path / "notes.txt").write_text("not part of it")
    assert commit_of(tmp_path) == commit
    (tmp_path / "code.py").write_text("2\n")
    assert commit_of(tmp_path) == f"{commit}.dirty"


def test_the_version_begins_with_the_packages() -> None:
    assert code_version().split("+")[0] == version("slm-platform")


def test_the_version_names_the_commit_of_this_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    commit = commit_of(Path(__file__).parents[3])
    if commit is None:
        pytest.skip("this is no git checkout")
    monkeypatch.delenv(BAKED_IN, raising=False)
    assert code_version.__wrapped__() == f"{version('slm-platform')}+g{commit}"
