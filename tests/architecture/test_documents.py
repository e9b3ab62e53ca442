"""What the documents say about the repository is true: paths, dependencies, services, decisions, versions."""

import ast
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from slm_shared.events.catalogue import CATALOGUE
from slm_shared.events.topology import CONSUMERS, TRAINER_WAKE_UP

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted(DOCS.rglob("*.md"))]
# Where a path in a document may begin.
PACKAGES = sorted(
    {path.parent.parent for top in ("deploy", "services", "shared") for path in (ROOT / top).rglob("py.typed")}
)
STARTS = [ROOT, DOCS, *PACKAGES]
FILE = re.compile(r"[\w.\-]+\.(py|md|toml|txt|css|js)|([\w.\-]+/)+[\w.\-]+\.\w+")
FOLDER = re.compile(r"\.?(slm_\w+|docs|tests|services|shared|deploy|benchmarks|scripts|ci)/[\w./\-]*")
DECISION_PARTS = ("**Context.**", "**Decision.**", "**Why.**", "**Consequences.**")
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def named(document: Path) -> set[str]:
    """What stands between backticks in running text, and what commands in blocks of code call by a path."""
    whole = document.read_text()
    text = re.sub(r"^( *)```.*?^\1```", "", whole, flags=re.DOTALL | re.MULTILINE)
    commands = re.findall(r"(?<![\w/.\-])(?:tests|benchmarks|scripts)/[\w./\-]+", whole)
    return {*re.findall(r"`([^`\n]+)`", text), *commands}


def looks_like_a_path(name: str) -> bool:
    return not name.startswith(".slm") and bool(FILE.fullmatch(name) or FOLDER.fullmatch(name))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_path_that_a_document_names_exists(document: Path) -> None:
    starts = [*STARTS, document.parent]
    paths = sorted(filter(looks_like_a_path, named(document)))
    assert [path for path in paths if not any((start / path).exists() for start in starts)] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_within_the_repository_leads_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", document.read_text())
    inner = [link for link in links if not re.match(r"https?:|mailto:", link)]
    assert [link for link in inner if not (document.parent / link).exists()] == []


def rows_below(text: str, heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its head."""
    section = text.split(f"\n{heading}", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def direct(requirements: list[str]) -> list[str]:
    names = [Requirement(each).name for each in requirements]
    return sorted((name for name in names if name != PROJECT["name"]), key=str.lower)


def test_the_page_of_dependencies_lists_those_of_the_project() -> None:
    text = (DOCS / "dependencies.md").read_text()
    wanted = {"Always": direct(PROJECT["dependencies"])}
    wanted |= {f"`{extra}`": direct(each) for extra, each in PROJECT["optional-dependencies"].items() if direct(each)}
    headings = re.findall(r"^## ([^:\n]+)", text, flags=re.MULTILINE)
    assert {heading: [row[0] for row in rows_below(text, f"## {heading}")] for heading in headings} == wanted


def subjects_in(text: str) -> set[str]:
    return set(re.findall(r"`([a-z_]+\.[a-z_]+)`", text)) & set(CATALOGUE)


def test_the_page_of_events_lists_those_of_the_catalogue() -> None:
    rows = rows_below((DOCS / "events.md").read_text(), "## Which events there are")
    assert set().union(*(subjects_in(row[0]) for row in rows)) == set(CATALOGUE)


def published_by(service: str) -> set[str]:
    return {event.subject for event in CATALOGUE.values() if event.owner == service}


def consumed_by(service: str) -> set[str]:
    found = {each.subject for each in CONSUMERS if each.service == service and each.durable != TRAINER_WAKE_UP}
    return found & set(CATALOGUE)


SERVICES = sorted(path.name for path in (ROOT / "services").iterdir() if (path / f"slm_{path.name}").is_dir())


def test_the_table_of_services_is_the_code() -> None:
    rows = rows_below((DOCS / "architecture.md").read_text(), "## Services")
    told = {row[0].strip("`"): (subjects_in(row[2]), subjects_in(row[3])) for row in rows}
    assert told == {service: (published_by(service), consumed_by(service)) for service in SERVICES}


@pytest.mark.parametrize("service", SERVICES)
def test_a_package_says_what_it_publishes_and_consumes(service: str) -> None:
    package = ROOT / "services" / service / f"slm_{service}" / "__init__.py"
    said = ast.get_docstring(ast.parse(package.read_text())) or ""
    publishes, _, consumes = said.partition("Consumes ")
    assert (subjects_in(publishes), subjects_in(consumes)) == (published_by(service), consumed_by(service))


@pytest.mark.parametrize("decision", sorted((DOCS / "decisions").glob("0*.md")), ids=lambda path: path.stem)
def test_decisions_have_one_form(decision: Path) -> None:
    text = decision.read_text()
    number = decision.stem.split("-")[0]
    status = r"(accepted|superseded by \[\d{4}\]\(.+\))"
    assert re.match(rf"# {number} .+\n\n\*\*Date:\*\* \d{{4}}-\d\d-\d\d  \n\*\*Status:\*\* {status}\n", text)
    places = [text.find(part) for part in DECISION_PARTS]
    assert -1 not in places
    assert places == sorted(places)


def test_decisions_have_numbers_of_their_own() -> None:
    numbers = [path.name[:4] for path in (DOCS / "decisions").glob("0*.md")]
    assert sorted(numbers) == sorted(set(numbers))


def test_the_changelog_has_a_date_for_the_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    assert re.search(rf"^## {re.escape(PROJECT['version'])} - \d{{4}}-\d\d-\d\d$", text, flags=re.MULTILINE)
