"""Rules of runs: legal edges, what follows from a failure, names of families."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slm_shared.jobs.protocol import Failure
from slm_training.domain import (
    EDGES,
    LONGEST_RETRY_S,
    MAX_FAILURES,
    STATUS_OF,
    TERMINAL,
    WORKING,
    Capabilities,
    ExperimentStatus,
    RunState,
    family_of,
    halved,
    judge,
    lacks,
    least_and_greatest,
    states_before,
    states_shown_as,
)


def failure(*, code: str = "boom", blame: str = "system", retry: bool = True) -> Failure:
    return Failure.model_validate({"code": code, "message": "It broke.", "blame": blame, "retry": retry})


def test_every_state_can_be_reached_and_left_for_an_end() -> None:
    reached, todo = {RunState.DRAFT}, [RunState.DRAFT]
    while todo:
        for following in EDGES[todo.pop()] - reached:
            reached.add(following)
            todo.append(following)
    assert reached == set(RunState)
    for state in RunState:
        assert leads_to_an_end(state)


def leads_to_an_end(state: RunState) -> bool:
    seen, todo = {state}, [state]
    while todo:
        current = todo.pop()
        if current in TERMINAL:
            return True
        todo.extend(EDGES[current] - seen)
        seen |= EDGES[current]
    return False


def test_ends_are_final_and_shown_as_ends() -> None:
    ends = {ExperimentStatus.COMPLETED, ExperimentStatus.FAILED, ExperimentStatus.CANCELLED}
    assert {RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED, RunState.DEAD_LETTER} == TERMINAL
    assert all((STATUS_OF[state] in ends) == (state in TERMINAL) for state in RunState)
    assert not WORKING & TERMINAL


def test_success_is_only_reached_from_the_read_back_artifact() -> None:
    assert states_before(RunState.SUCCEEDED) == {RunState.COMPLETING}
    assert states_before(RunState.COMPLETING) == {RunState.RUNNING, RunState.PAUSING}


def test_statuses_divide_the_states() -> None:
    shown = [states_shown_as(status) for status in ExperimentStatus]
    assert set().union(*shown) == set(RunState)
    assert sum(map(len, shown)) == len(RunState)


@given(failures=st.integers(1, 50), code=st.sampled_from(["boom", "out_of_memory"]))
def test_what_the_user_has_to_mend_is_never_tried_again(failures: int, code: str) -> None:
    assert judge(failure(code=code, blame="user"), failures=failures).state is RunState.FAILED
    assert judge(failure(code=code, retry=False), failures=failures).state is RunState.FAILED


def test_pauses_double_and_have_an_end() -> None:
    verdicts = [judge(failure(), failures=count) for count in range(1, MAX_FAILURES + 1)]
    assert [verdict.state for verdict in verdicts] == [RunState.QUEUED] * 4 + [RunState.DEAD_LETTER]
    assert [verdict.retry_after_s for verdict in verdicts[:-1]] == [10, 20, 40, 80]
    assert all(judge(failure(), failures=n).retry_after_s <= LONGEST_RETRY_S for n in range(1, 40))


def test_memory_is_tried_once_more() -> None:
    assert judge(failure(code="out_of_memory"), failures=1).state is RunState.QUEUED
    assert judge(failure(code="out_of_memory"), failures=2).state is RunState.FAILED


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("Commands", "commands"),
        ("My  first/run!", "my-first-run"),
        ("support-bot-v3", "support-bot"),
        ("v3", "v3"),
        ("日本", "model"),
        ("--", "model"),
    ],
)
def test_families_are_words_joined_by_hyphens(name: str, family: str) -> None:
    assert family_of(name) == family


@given(st.text(max_size=300))
def test_every_name_has_a_family_that_the_registry_takes(name: str) -> None:
    family = family_of(name)
    assert 1 <= len(family) <= 80
    assert all(word.isascii() and word.isalnum() and word == word.lower() for word in family.split("-"))


SERIES = st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), min_size=1, max_size=400)


@given(values=SERIES, limit=st.integers(4, 60))
def test_a_thinned_series_keeps_its_ends_and_its_peaks(values: list[float | None], limit: int) -> None:
    points = list(enumerate(values))
    thin = least_and_greatest(points, limit)
    assert len(thin) <= limit
    assert set(thin) <= set(points)
    assert [step for step, _ in thin] == sorted(step for step, _ in thin)
    assert (thin[0], thin[-1]) == (points[0], points[-1])
    if finite := [value for value in values if value is not None]:
        kept = [value for _, value in thin if value is not None]
        assert (min(kept), max(kept)) == (min(finite), max(finite))


@given(rows=st.integers(1, 1024), accumulation=st.integers(1, 64), processes=st.sampled_from([1, 2, 4]))
def test_half_the_rows_in_memory_are_the_same_effective_batch(rows: int, accumulation: int, processes: int) -> None:
    rows *= processes
    config = {"batch_size": rows, "gradient_accumulation_steps": accumulation, "num_processes": processes, "seed": 1}
    smaller = halved(config)
    if smaller is None:
        assert (rows // processes) % 2
    else:
        assert smaller["batch_size"] * smaller["gradient_accumulation_steps"] == rows * accumulation
        assert smaller["batch_size"] * 2 == rows
        assert smaller["batch_size"] % processes == 0
        assert smaller["seed"] == 1


@pytest.mark.parametrize(
    ("needs", "missing"),
    [
        ({}, None),
        ({"device": "cpu"}, None),
        ({"device": "gpu"}, "a gpu"),
        ({"memory_gb": 8.0}, None),
        ({"memory_gb": 8.5}, "8.5 GB of memory"),
        ({"processes": 3}, "3 processor cores"),
    ],
)
def test_what_a_worker_lacks_is_said(needs: dict[str, object], missing: str | None) -> None:
    assert lacks(needs, Capabilities("cpu", 8.0, 2)) == missing
