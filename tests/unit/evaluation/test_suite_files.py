"""Which files are benchmark suites."""

from pathlib import Path

import pytest

from slm_evaluation.errors import SuiteInvalidError
from slm_evaluation.service.suites import SHIPPED, list_suites, read_suite


def test_every_suite_that_ships_can_be_read() -> None:
    assert [suite.name for suite in list_suites(None)] == sorted(path.stem for path in SHIPPED.glob("*.yaml"))


def test_a_folders_own_suite_goes_before_one_that_ships(tmp_path: Path) -> None:
    (tmp_path / "answers.yaml").write_text("tasks: [arc_easy]\nlimit: 3\n")
    assert read_suite(tmp_path, "answers").model_dump() == {
        "name": "answers", "tasks": ["arc_easy"], "few_shot": 0, "limit": 3, "chat": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tasks: []",
        "tasks: [a, a]",
        "tasks: [/etc/passwd]",
        "tasks: [{doc_to_text: x}]",
        "tasks: [{task: x, dataset_path: elsewhere}]",
        "tasks: [{task: x, doc_to_text: !function module.run}]",
        "tasks: [a]\nfew_shot: true",
        "tasks: [a]\ncode: x",
        "{",
    ],
)
def test_other_files_are_refused_by_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "odd.yaml").write_text(text)
    with pytest.raises(SuiteInvalidError, match="odd"):
        read_suite(tmp_path, "odd")
