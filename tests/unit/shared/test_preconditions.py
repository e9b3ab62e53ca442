"""What If-Match may say."""

import pytest

from slm_shared.http.preconditions import VersionConflictError, VersionRequiredError, version_named


@pytest.mark.parametrize(("said", "version"), [('"3"', 3), ('W/"3"', 3), ("3", 3), ("*", None)])
def test_a_tag_names_a_version(said: str, version: int | None) -> None:
    assert version_named(said) == version


@pytest.mark.parametrize("said", [None, "", "  "])
def test_an_edit_without_a_version_is_refused(said: str | None) -> None:
    with pytest.raises(VersionRequiredError):
        version_named(said)


@pytest.mark.parametrize("said", ['"three"', '"-1"', '"٣"', '"1234567890"', '"1", "2"'])
def test_a_strange_tag_matches_nothing(said: str) -> None:
    with pytest.raises(VersionConflictError):
        version_named(said)
