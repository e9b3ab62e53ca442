"""Services speak the API: what to do about an error is a code that each interface words its own way."""

import ast
import re
from pathlib import Path

import pytest
from typer.main import get_command

from slm_client.cli.hints import HINTS as COMMANDS
from slm_client.cli.main import app
from slm_shared.errors import Hint
from slm_ui.hints import HINTS as PAGES
from slm_ui.navigation import PLACES

ROOT = Path(__file__).parents[2]
SOURCES = [
    path
    for folder in (*(ROOT / "services").glob("*/slm_*"), ROOT / "shared" / "slm_shared")
    if folder.name != "slm_ui"
    for path in sorted(folder.rglob("*.py"))
]


def test_no_service_names_a_command() -> None:
    assert [path.relative_to(ROOT).as_posix() for path in SOURCES if "`slm " in path.read_text()] == []


@pytest.mark.parametrize("hint", Hint)
def test_every_hint_is_worded_by_command_line_console_and_docs(hint: Hint) -> None:
    assert hint in COMMANDS
    assert hint in PAGES
    assert f"| `{hint}` |" in (ROOT / "docs" / "errors.md").read_text()
    assert hint.text.endswith(".")


def test_every_hint_is_given_somewhere() -> None:
    named = {
        node.attr
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "Hint"
    }
    assert named == set(Hint.__members__)


@pytest.mark.parametrize("command", sorted(set(re.findall("`slm ([^`]+)`", " ".join(COMMANDS.values())))))
def test_the_command_line_has_the_commands_that_it_names(command: str) -> None:
    found = get_command(app)
    for word in command.split():
        if word.islower():
            found = found.commands[word]  # type: ignore[attr-defined]


def test_the_console_has_the_pages_that_it_names() -> None:
    assert {page for _, page in PAGES.values()} <= {place.name for place in PLACES}
