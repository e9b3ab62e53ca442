"""What was once published must stay readable, and what is documented must be what is published."""

import json
from pathlib import Path

import pytest

from slm_shared.events.asyncapi import render
from slm_shared.events.catalogue import CATALOGUE, Event

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parent / "golden"


def test_each_event_has_a_golden_file_and_each_file_an_event() -> None:
    assert {path.stem for path in GOLDEN.glob("*.json")} == set(CATALOGUE)


@pytest.mark.parametrize("event", CATALOGUE.values(), ids=lambda event: event.subject)
def test_the_golden_event_is_read_and_written_unchanged(event: type[Event]) -> None:
    text = (GOLDEN / f"{event.subject}.json").read_text()
    read = event.model_validate_json(text)
    assert read.model_dump(mode="json") == json.loads(text)
    assert read.aggregate_id


@pytest.mark.parametrize("event", CATALOGUE.values(), ids=lambda event: event.subject)
def test_fields_of_a_later_version_are_ignored(event: type[Event]) -> None:
    body = json.loads((GOLDEN / f"{event.subject}.json").read_text())
    assert event.model_validate(body | {"added_later": 1}) == event.model_validate(body)


def test_the_committed_asyncapi_document_is_the_exported_one() -> None:
    committed = (ROOT / "docs" / "asyncapi.json").read_text()
    assert committed == render(), "run: python -m slm_shared.events.asyncapi > docs/asyncapi.json"
