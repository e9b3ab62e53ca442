"""The built-in base model, loaded once."""

import copy
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from slm_ml.model import load_model, load_tokenizer
from slm_registry.settings import packaged_models


@pytest.fixture(scope="session")
def nano_folder() -> Path:
    return packaged_models() / "nano-v1"


@pytest.fixture(scope="session")
def nano(nano_folder: Path) -> PreTrainedModel:
    torch.set_num_threads(1)
    return load_model(nano_folder)


@pytest.fixture(scope="session")
def tokenizer(nano_folder: Path) -> PreTrainedTokenizerBase:
    return load_tokenizer(nano_folder)


@pytest.fixture
def plain_tokenizer(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """The same vocabulary without a chat template."""
    plain = copy.deepcopy(tokenizer)
    plain.chat_template = None
    return plain
