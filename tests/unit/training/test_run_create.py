"""What a request for a run may say."""

import math
from typing import Any

import pytest
from pydantic import ValidationError

from slm_training.domain import DEFAULT_LEARNING_RATES, Objective
from slm_training.schemas.config import RunCreate

LEAST = {"name": "n", "training_dataset": "d-v1"}


def fields_at_fault(**settings: Any) -> set[str]:
    with pytest.raises(ValidationError) as caught:
        RunCreate.model_validate({**LEAST, **settings})
    return {str(error["loc"][0]) for error in caught.value.errors()}


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("name", ["", "x" * 121, 3, None]),
        ("family", ["Two", "a-v2", "a--b", "-a", "a b", "x" * 81]),
        ("training_dataset", ["", None, 7]),
        ("base_model", ["", None]),
        ("method", ["", "FULL", "qlora", None]),
        ("epochs", [0, -1, 101, math.nan, math.inf, "3", True, None]),
        ("learning_rate", [0, -1.0, 2, 1e308, math.nan, math.inf, "0.1", True]),
        ("batch_size", [0, -1, 1025, 2**31, 1.5, "8", True]),
        ("max_length", [7, 8193, 10**7, 16.5]),
        ("seed", [-1, 2**32, 2**64, 0.5]),
        ("warmup_ratio", [-0.1, 1, math.nan]),
        ("weight_decay", [-0.1, 1.1, math.inf]),
        ("lora_rank", [0, 513]),
        ("lora_alpha", [0, 1025]),
        ("status", ["completed"]),
        ("owner", ["admin"]),
    ],
)
def test_what_is_out_of_range_is_named(field: str, values: list[Any]) -> None:
    for value in values:
        assert fields_at_fault(**{field: value}) == {field}


def test_defaults_are_filled_in() -> None:
    request = RunCreate.model_validate(LEAST)
    assert request.base_model == "nano-v1"
    for method in ("full", "lora"):
        for objective in Objective:
            config = RunCreate.model_validate({**LEAST, "method": method}).config(objective=objective)
            assert config["learning_rate"] == DEFAULT_LEARNING_RATES[objective, method]
            assert config["objective"] == objective
            assert None not in config.values()
            assert all(isinstance(value, str | int | float | bool) for value in config.values())
