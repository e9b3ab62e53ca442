"""When the client asks again."""

import httpx2
import pytest

from slm_client.retrying import MAX_DELAY_S, RetryPolicy

REFUSED = httpx2.ConnectError("refused")


def test_delays_grow_and_end() -> None:
    policy = RetryPolicy(attempts=5, first_delay_s=0.2, max_delay_s=1.0)
    delays = [policy.delay_after_error(REFUSED, attempt=attempt) for attempt in range(1, 6)]
    assert delays == [0.2, 0.4, 0.8, 1.0, None]


def test_a_service_that_is_away_is_asked_again_when_it_says() -> None:
    response = httpx2.Response(503, headers={"Retry-After": "1"})
    assert RetryPolicy().delay_after_answer(response, attempt=1) == 1.0


@pytest.mark.parametrize("header", ["3600", "99999999", "-1", "Sat, 21 Nov 2026 04:31:46 GMT", "nan", ""])
def test_no_answer_makes_the_client_sleep_for_long(header: str) -> None:
    response = httpx2.Response(503, headers={"Retry-After": header})
    delay = RetryPolicy().delay_after_answer(response, attempt=1)
    assert delay is not None
    assert 0 < delay <= MAX_DELAY_S


@pytest.mark.parametrize("status", [200, 202, 400, 404, 409, 422, 500])
def test_final_answers_are_taken(status: int) -> None:
    assert RetryPolicy().delay_after_answer(httpx2.Response(status), attempt=1) is None


def test_a_request_still_in_flight_is_asked_for_again() -> None:
    response = httpx2.Response(409, headers={"Retry-After": "1"})
    assert RetryPolicy().delay_after_answer(response, attempt=1) == 1.0


def test_slow_answers_are_not_asked_for_twice() -> None:
    assert RetryPolicy().delay_after_error(httpx2.ReadTimeout("slow"), attempt=1) is None
