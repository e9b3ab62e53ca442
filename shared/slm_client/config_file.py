"""Configuration files: the settings of a training in YAML, perhaps with a data file to upload."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from slm_client.errors import SlmError

BLOCKS_OF = {
    "name": ("model",),
    "base_model": ("model",),
    "training_dataset": ("training_data",),
    "evaluation_dataset": ("training_data", "evaluation"),
    "epochs": ("hyperparameters",),
    "learning_rate": ("hyperparameters",),
    "batch_size": ("hyperparameters",),
}
OTHER_NAMES = {
    "training_dataset": ("training_dataset", "dataset_version", "dataset"),
    "evaluation_dataset": ("evaluation_dataset", "eval_dataset", "dataset"),
    "epochs": ("epochs", "num_train_epochs"),
    "batch_size": ("batch_size", "per_device_train_batch_size"),
}


class ConfigFileError(SlmError):
    """The file cannot be read as a configuration."""

    code, status = "config_invalid", 422


class _Loader(yaml.SafeLoader):
    """Also reads 1e-3 as a number; PyYAML takes it for text unless it is written 1.0e-3."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+(?:\.[0-9]*)?[eE][-+]?[0-9]+"), list("-+0123456789")
)


def read_config(path: Path) -> dict[str, Any]:
    """The configuration in a YAML file. Raises ConfigFileError that names the line."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}" if error.problem_mark else "somewhere"
        raise ConfigFileError(f"{path} is not YAML: {line}: {error.problem or 'cannot be read'}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigFileError(f"{path} is not YAML text in UTF-8.") from error
    if not isinstance(content, dict) or not all(isinstance(field, str) for field in content):
        raise ConfigFileError(f"{path} contains no settings.", hint="write one `field: value` per line")
    return content


def overridden(config: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with these options; the same options under other names or in blocks are removed."""
    found = {key: dict(value) if isinstance(value, dict) else value for key, value in config.items()}
    for name, value in options.items():
        names = OTHER_NAMES.get(name, (name,))
        for place in (found, *(found.get(block) for block in BLOCKS_OF.get(name, ()))):
            if isinstance(place, dict):
                for other in names:
                    place.pop(other, None)
        found[name] = value
    return found


def names_dataset(config: Mapping[str, Any]) -> bool:
    """Whether the configuration says which dataset to train on."""
    places = (config, config.get("training_data"))
    return any(
        isinstance(place, Mapping) and place.get(name) for place in places for name in OTHER_NAMES["training_dataset"]
    )


def data_file(config: Mapping[str, Any], *, beside: Path | None) -> Path | None:
    """The file that `training_data.path` names, relative to the configuration file, or None."""
    block = config.get("training_data")
    path = block.get("path") if isinstance(block, dict) else None
    if path is None:
        return None
    found = (beside.parent if beside else Path()) / str(path)
    if not found.is_file():
        raise ConfigFileError(f"There is no file {found}, which training_data.path names.")
    return found


def with_dataset(config: Mapping[str, Any], dataset: str) -> dict[str, Any]:
    """The configuration with an uploaded dataset in place of the file."""
    found = overridden(config, {"training_dataset": dataset})
    for name in ("path", "source", "format"):
        found["training_data"].pop(name, None)
    return found


def name_of(config: Mapping[str, Any]) -> str | None:
    """The name of the run, or None if the configuration gives none."""
    block = config.get("model")
    return config.get("name") or (block.get("name") if isinstance(block, dict) else None)
