"""A run that is being prepared. All of it stands in the page's address, so that going back, a refresh or a second tab
loses nothing; what the platform makes of it is decided by the platform alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

MAX_FILE_BYTES = 100_000


@dataclass(frozen=True)
class Field:
    """One setting as a form knows it: how to read it, and between which bounds it makes sense."""

    name: str
    kind: type
    initial: Any = None
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    max_length: int | None = None

    def read(self, text: str) -> Any:
        """The value of a text. Raises ValueError with a reason for people."""
        value = self._parsed(text.strip())
        if self.choices and value not in self.choices:
            raise ValueError(f"is one of {', '.join(self.choices)}")
        if self.low is not None and value < self.low:
            raise ValueError(f"is at least {self.low:g}")
        if self.high is not None and value > self.high:
            raise ValueError(f"is at most {self.high:g}")
        if self.max_length is not None and len(value) > self.max_length:
            raise ValueError(f"has at most {self.max_length:,} characters")
        return value

    def _parsed(self, text: str) -> Any:
        try:
            return self.kind(text)
        except ValueError:
            kind = "a whole number" if self.kind is int else "a number"
            raise ValueError(f"is {kind}") from None


FIELDS = {
    field.name: field
    for field in (
        Field("name", str, max_length=120),
        Field("family", str, max_length=80),
        Field("goal", str, max_length=4000),
        Field("description", str, max_length=4000),
        Field("base_model", str),
        Field("training_dataset", str),
        Field("evaluation_dataset", str),
        Field("method", str, "full", choices=("full", "lora")),
        Field("epochs", float, 3.0, low=0.01, high=100),
        Field("learning_rate", float, low=1e-8, high=1),
        Field("batch_size", int, 16, low=1, high=1024),
        Field("max_length", int, 256, low=8, high=8192),
        Field("seed", int, 42, low=0, high=2**32 - 1),
        Field("warmup_ratio", float, 0.05, low=0, high=0.99),
        Field("weight_decay", float, 0.0, low=0, high=1),
        Field("lora_rank", int, 16, low=1, high=512),
        Field("lora_alpha", int, 32, low=1, high=1024),
        Field("more", str, max_length=4000),
    )
}
REQUIRED = ("name", "base_model", "training_dataset")
ONLY_LORA = ("lora_rank", "lora_alpha")
MORE = "more"
"""Settings that have no field of their own, as YAML: one `name: value` per line."""

# Names of blocks' entries that differ from those of the settings they stand for.
IN_BLOCKS = {("model", "name"): "name", ("training_data", "dataset"): "training_dataset"}


class FileError(ValueError):
    """A configuration file that cannot be used, with the reason."""


class Draft:
    """The settings in an address."""

    def __init__(self, parameters: Mapping[str, str]) -> None:
        self._texts = {name: text for name, text in parameters.items() if name in FIELDS and text.strip()}
        self.problems: dict[str, str] = {}
        self.values: dict[str, Any] = {}
        for name, field in FIELDS.items():
            try:
                self.values[name] = field.read(self._texts[name]) if name in self._texts else field.initial
            except ValueError as error:
                self.values[name] = None
                self.problems[name] = str(error)
        self.more: dict[str, Any] = {}
        self._read_more()
        for name in REQUIRED:
            if name not in self._texts:
                self.problems[name] = "is needed"

    def _read_more(self) -> None:
        text = self.values.pop(MORE)
        if text:
            try:
                self.more = _mapping(text)
            except FileError as error:
                self.problems[MORE] = str(error)
        for name in sorted(self.more.keys() & FIELDS.keys()):
            self.problems[MORE] = f"has a field of its own for {name}"

    def body(self) -> dict[str, Any]:
        """What is asked of the platform: everything that was chosen, and nothing without effect."""
        unused = () if self.values["method"] == "lora" else ONLY_LORA
        chosen = {name: value for name, value in self.values.items() if value is not None and name not in unused}
        return chosen | self.more

    def as_yaml(self) -> str:
        """The same as a file for `slm train`."""
        return yaml.safe_dump(self.body(), sort_keys=False, allow_unicode=True)


def from_yaml(content: bytes, *, aliases: Mapping[str, str]) -> dict[str, str]:
    """The settings of a configuration file, as texts for the address; `aliases` are other names of settings.

    Blocks are taken apart; what has no field of its own goes to `more`. Raises FileError.
    """
    if len(content) > MAX_FILE_BYTES:
        raise FileError("is too large for a configuration")
    try:
        found = _mapping(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise FileError("is not text in UTF-8") from error
    texts: dict[str, str] = {}
    more: dict[str, Any] = {}
    for name, value in found.items():
        _sort_in(name, value, texts=texts, more=more, aliases=aliases)
    if more:
        texts[MORE] = yaml.safe_dump(more, sort_keys=False, allow_unicode=True)
    return texts


def _sort_in(name: str, value: Any, *, texts: dict[str, str], more: dict[str, Any], aliases: Mapping[str, str]) -> None:
    """Put one entry of a file where the form has it."""
    name = aliases.get(name, name)
    if isinstance(value, dict):
        left: dict[str, Any] = {}
        for inner, each in value.items():
            known = IN_BLOCKS.get((name, str(inner)), str(inner))
            _sort_in(known, each, texts=texts, more=left, aliases=aliases)
        if left:
            more[name] = left
    elif name in FIELDS and not isinstance(value, list):
        if value is not None:
            texts[name] = str(value)
    else:
        more[name] = value


def _mapping(text: str) -> dict[str, Any]:
    try:
        found = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise FileError(f"is not YAML: line {line}: {error.problem or 'cannot be read'}") from error
    except yaml.YAMLError as error:
        raise FileError("is not YAML") from error
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise FileError("holds no settings: write one name: value per line")
    return found
