"""What looks like personal data: the patterns, and which rows are looked at."""

import pytest

from slm_datasets.analysis.personal import Findings, Patterns


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("write to ann@example.org", {"email"}),
        ("call +44 20 7946 0958", {"phone"}),
        ("from 192.0.2.17", {"ip_address"}),
        ("version 1.2.3.4.5", set()),
        ("pay with 4111 1111 1111 1111", {"card"}),
        ("pay with 4111 1111 1111 1112", set()),
        ("0000 0000 0000 0000", set()),
        ("to DE89 3704 0044 0532 0130 00", {"iban"}),
        ("to DE88 3704 0044 0532 0130 00", set()),
        ("12 apples at 3.50", set()),
    ],
)
def test_patterns_know_what_has_a_form_or_a_check_digit(text: str, kinds: set[str]) -> None:
    assert Patterns().kinds_in(text) == kinds


class Short:
    """Takes every text that is longer than two characters for a secret."""

    name, version, max_rows = "short", "7", 3
    max_characters: int | None = 5

    def kinds_in(self, text: str) -> set[str]:
        """What it takes it for."""
        assert len(text) <= 5
        return {"secret"} if len(text) > 2 else set()


def test_rows_are_spread_evenly_and_no_more_than_the_detector_takes() -> None:
    found = Findings(Short(), 8)
    for number in range(8):
        found.add(number, "x" * number)
    assert found.as_dict() == {
        "personal_data": {"secret": {"rows": 2, "examples": [3, 6]}},
        "personal_data_scan": {"detector": "short", "version": "7", "rows": 3, "max_characters": 5},
    }
