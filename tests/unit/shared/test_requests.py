"""Reading request bodies."""

import math

import pytest

from slm_shared.http.requests import RejectedBodyError, parse_json


def test_plain_json_is_read() -> None:
    assert parse_json(b'{"a": [1, 2.5, null, true, "x"]}') == {"a": [1, 2.5, None, True, "x"]}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"a": 1, "a": 2}',
        '{"a": 1}'.encode("utf-16"),
        b'\xef\xbb\xbf{"a": 1}',
        b'{"a": "\xff"}',
        b'{"a": "\\u0000"}',
        b'{"a": "\\ud800"}',
        b"[" * 65 + b"]" * 65,
        b"[" * 100_000,
    ],
)
def test_a_body_that_is_not_clean_json_is_refused(body: bytes) -> None:
    with pytest.raises(RejectedBodyError) as caught:
        parse_json(body)
    assert caught.value.status_code == 400


@pytest.mark.parametrize("literal", [b"NaN", b"Infinity", b"1e999", b"9" * 5000])
def test_non_finite_numbers_are_left_for_the_field_to_refuse(literal: bytes) -> None:
    value = parse_json(b'{"learning_rate": ' + literal + b"}")["learning_rate"]
    assert not math.isfinite(value)
