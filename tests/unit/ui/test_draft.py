"""What stands in the address becomes what is asked of the platform, and files become addresses."""

import doctest
import importlib

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from slm_ui.draft import FIELDS, Draft, FileError, from_yaml

ALIASES = {"num_train_epochs": "epochs", "dataset_version": "training_dataset"}
NEEDED = {"name": "a", "base_model": "nano-v1", "training_dataset": "d-v1"}


@pytest.mark.parametrize("name", ["formatting", "navigation", "security"])
def test_examples_in_docstrings_hold(name: str) -> None:
    assert doctest.testmod(importlib.import_module(f"slm_ui.{name}")).failed == 0


def test_an_empty_draft_names_what_is_needed() -> None:
    assert Draft({}).problems == dict.fromkeys(NEEDED, "is required")


def test_a_draft_says_everything_it_shows() -> None:
    body = Draft(NEEDED | {"epochs": "2", "more": "scheduler: cosine"}).body()
    assert body == NEEDED | {
        "method": "full",
        "epochs": 2.0,
        "batch_size": 16,
        "max_length": 256,
        "seed": 42,
        "warmup_ratio": 0.05,
        "weight_decay": 0.0,
        "scheduler": "cosine",
    }


def test_what_concerns_lora_is_asked_for_only_with_it() -> None:
    assert "lora_rank" not in Draft(NEEDED).body()
    assert Draft(NEEDED | {"method": "lora"}).body()["lora_rank"] == 16


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("epochs", "many", "must be a number"),
        ("batch_size", "1.5", "must be a whole number"),
        ("batch_size", "0", "must be at least 1"),
        ("learning_rate", "2", "must be at most 1"),
        ("method", "magic", "must be one of full, lora"),
        ("more", "a: [", "is not YAML: line 1: "),
        ("more", "epochs: 3", "has a field of its own for epochs"),
    ],
)
def test_each_mistake_is_told_at_its_field(name: str, text: str, reason: str) -> None:
    assert Draft(NEEDED | {name: text}).problems[name].startswith(reason)


@given(st.dictionaries(st.sampled_from(sorted(FIELDS)), st.text(max_size=30)))
def test_no_address_breaks_the_form(parameters: dict[str, str]) -> None:
    Draft(parameters).as_yaml()


def test_a_file_of_the_same_draft_is_the_same_draft() -> None:
    first = Draft(NEEDED | {"epochs": "2", "learning_rate": "1e-3", "more": "scheduler: cosine\ntags: [a, b]"})
    again = Draft(from_yaml(first.as_yaml().encode(), aliases=ALIASES))
    assert again.body() == first.body()


def test_blocks_and_other_names_find_their_fields() -> None:
    file = {
        "model": {"name": "Answers", "base_model": "nano-v1"},
        "training_data": {"dataset": "d-v1", "validation_split": 0.1},
        "hyperparameters": {"num_train_epochs": 2, "learning_rate": "1e-3"},
        "optimization": {"early_stopping": {"enabled": True, "patience": 3}},
    }
    draft = Draft(from_yaml(yaml.safe_dump(file).encode(), aliases=ALIASES))
    assert draft.problems == {}
    assert draft.values["epochs"] == 2.0
    assert draft.values["training_dataset"] == "d-v1"
    assert draft.more == {
        "training_data": {"validation_split": 0.1},
        "optimization": {"early_stopping": {"enabled": True, "patience": 3}},
    }


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[1, 2]", b"a: [", b"x" * 200_000, b"!!python/object:os.system {}"])
def test_what_is_no_configuration_is_refused_in_words(content: bytes) -> None:
    with pytest.raises(FileError):
        from_yaml(content, aliases=ALIASES)
