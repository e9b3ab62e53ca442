"""The configuration file: blocks, other names, one meaning."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from pydantic import ValidationError

from slm_training.domain import Objective
from slm_training.schemas.blocks import ALIASES, FLAT_NAMES
from slm_training.schemas.config import SCHEMA_ID, RunCreate, config_schema

FLAT: dict[str, Any] = {
    "name": "nightly",
    "base_model": "nano-v1",
    "training_dataset": "commands-v1",
    "learning_rate": 5e-5,
    "epochs": 3,
    "batch_size": 8,
    "validation_split": 0.1,
    "warmup_steps": 100,
    "weight_decay": 0.01,
    "optimizer": "adamw",
    "scheduler": "linear",
    "early_stopping_patience": 2,
    "evaluation_metrics": ["accuracy", "f1_score", "perplexity"],
    "save_best_model": True,
}
BLOCKS: dict[str, Any] = {
    "model": {"name": "nightly", "base_model": "nano-v1", "model_type": "fine_tuned"},
    "training_data": {"dataset_version": "commands-v1", "source": "dataset", "validation_split": 0.1},
    "hyperparameters": {
        "learning_rate": 5e-5, "batch_size": 8, "epochs": 3, "warmup_steps": 100, "weight_decay": 0.01,
    },
    "optimization": {
        "optimizer": "adamw",
        "scheduler": "linear",
        "early_stopping": {"enabled": True, "patience": 2, "metric": "validation_loss"},
    },
    "evaluation": {"metrics": ["accuracy", "f1_score", "perplexity"], "save_best_model": True},
    "deployment": {"auto_deploy": False, "deployment_target": "local", "health_check_enabled": True},
}  # fmt: skip
ALIASED = {
    "name": "nightly", "base_model": "nano-v1", "dataset_version": "commands-v1", "learning_rate": 5e-5,
    "num_train_epochs": 3, "per_device_train_batch_size": 8, "validation_split": 0.1, "warmup_steps": 100,
    "weight_decay": 0.01, "optim": "adamw_torch", "lr_scheduler_type": "linear", "early_stopping_patience": 2,
    "evaluation_metrics": ["accuracy", "f1_score", "perplexity"], "load_best_model_at_end": True,
}  # fmt: skip


def config_of(given: dict[str, Any]) -> dict[str, Any]:
    return RunCreate.model_validate(given).config(objective=Objective.SFT)


def problems_of(given: dict[str, Any]) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        RunCreate.model_validate(given)
    return [".".join(map(str, error["loc"])) or error["msg"] for error in caught.value.errors()]


def test_blocks_and_other_names_mean_the_same_configuration() -> None:
    assert config_of(BLOCKS) == config_of(FLAT) == config_of(ALIASED)
    assert RunCreate.model_validate(BLOCKS).name == "nightly"


def test_a_request_that_was_kept_gives_the_same_configuration_again() -> None:
    kept = RunCreate.model_validate(BLOCKS).model_dump(mode="json", exclude_unset=True, exclude=set(FLAT_NAMES))
    assert config_of(kept) == config_of(BLOCKS)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"hyperparameters": {"learning_rate": "fast"}}, "learning_rate"),
        ({"hyperparameters": {"learning_rat": 1e-3}}, "hyperparameters.learning_rat"),
        ({"optimization": {"early_stopping": {"enabled": True, "patience": 0}}}, "early_stopping_patience"),
        ({"optimization": {"early_stopping": {"wait": 3}}}, "optimization.early_stopping.wait"),
        ({"evaluation": {"metrics": ["vibes"]}}, "evaluation_metrics.0"),
        ({"lora": {"rank": 0}}, "lora_rank"),
        ({"deployment": {"auto_deploy": True}}, "deployment.auto_deploy"),
        ({"model": {"model_type": "scratch"}}, "model.model_type"),
        ({"model": "nano-v1"}, "model"),
        ({"schema_version": 2}, "schema_version"),
    ],
)
def test_what_is_wrong_in_a_block_is_named(changes: dict[str, Any], problem: str) -> None:
    assert problem in problems_of({"name": "n", "training_dataset": "d", **changes})


@pytest.mark.parametrize(
    ("asked", "kept"), [("f1", "macro_f1"), ("f1_score", "macro_f1"), ("rouge", "rouge_l"), ("rouge_l", "rouge_l")]
)
def test_metrics_are_kept_by_the_names_that_an_evaluation_has(asked: str, kept: str) -> None:
    assert config_of({**FLAT, "evaluation_metrics": [asked]})["evaluation_metrics"] == kept


def test_what_is_said_twice_has_to_agree() -> None:
    assert config_of({**FLAT, "hyperparameters": {"epochs": 3}})["epochs"] == 3
    (problem,) = problems_of({**FLAT, "hyperparameters": {"epochs": 4}})
    assert "epochs and hyperparameters.epochs say different things" in problem


def test_a_path_is_for_clients() -> None:
    (problem,) = problems_of({"name": "n", "training_data": {"path": "rows.jsonl"}})
    assert "a client uploads first" in problem


@pytest.mark.parametrize(
    "changes",
    [
        {"save_best_model": True},
        {"early_stopping_patience": 2},
        {"evaluation_dataset": "e-v1", "validation_split": 0.1},
        {"num_processes": 3, "batch_size": 16},
    ],
)
def test_options_that_cannot_go_together_are_refused(changes: dict[str, Any]) -> None:
    problems_of({"name": "n", "training_dataset": "d", **changes})


def test_a_list_of_modules_is_kept_as_one_text() -> None:
    config = config_of({"name": "n", "training_dataset": "d", "lora": {"target_modules": ["q_proj", "v_proj"]}})
    assert config["lora_target_modules"] == "q_proj,v_proj"


def test_the_published_schema_takes_what_the_platform_takes() -> None:
    schema = config_schema()
    assert schema["$id"] == SCHEMA_ID
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    for known in (FLAT, BLOCKS):
        assert list(validator.iter_errors(known)) == []
    assert list(validator.iter_errors({"learning_rate": 7}))
    assert list(validator.iter_errors({"learning_rates": 1e-3}))
    assert set(schema["x-aliases"]) == set(ALIASES)


@given(st.dictionaries(st.sampled_from(sorted(FLAT)), st.none(), min_size=1, max_size=4))
def test_the_same_file_always_gives_the_same_configuration(left_out: dict[str, None]) -> None:
    given = {
        name: value for name, value in FLAT.items() if name not in left_out or name in ("name", "training_dataset")
    }
    given.setdefault("validation_split", 0.2)
    assert config_of(given) == config_of(dict(reversed(given.items())))
