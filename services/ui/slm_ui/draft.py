"""A run that is being prepared. All of it stands in the page's address, so that going back, a refresh or a second tab
loses nothing; what the platform makes of it is decided by the platform alone.
"""

import json
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

MAX_FILE_BYTES = 100_000


SCHEMA: dict[str, Any] = json.loads((Path(__file__).parent / "assets" / "run-config.json").read_text())
"""What the platform publishes at `/api/runs/schema`, as it was when the console was built."""

ALIASES: dict[str, str] = SCHEMA["x-aliases"]
"""Other names of settings, to the names here."""

ABOUT = ("name", "family", "goal", "description", "base_model", "training_dataset", "evaluation_dataset")
OPTIONS = (
    "method", "epochs", "learning_rate", "batch_size", "max_length", "seed", "warmup_ratio", "weight_decay",
    "lora_rank", "lora_alpha",
)  # fmt: skip
REQUIRED = ("name", "base_model", "training_dataset")
ONLY_LORA = ("lora_rank", "lora_alpha")
MORE = "more"
"""Settings that have no field of their own, as YAML: one `name: value` per line."""

KINDS = {"string": str, "number": float, "integer": int}
LIMITS: dict[str, tuple[Callable[[Any, Any], bool], str]] = {
    "minimum": (operator.ge, "at least"),
    "exclusiveMinimum": (operator.gt, "more than"),
    "maximum": (operator.le, "at most"),
    "exclusiveMaximum": (operator.lt, "less than"),
}

# Names of blocks' entries that differ from those of the settings they stand for.
IN_BLOCKS = {("model", "name"): "name", ("training_data", "dataset"): "training_dataset"}


@dataclass(frozen=True)
class Field:
    """One setting as a form knows it: how to read it, and what the platform's JSON Schema says of its values."""

    kind: type
    rules: Mapping[str, Any]
    initial: Any = None

    @classmethod
    def of(cls, name: str) -> "Field":
        """From the schema of one option, of whose alternatives null is the one that a form leaves empty."""
        declared = SCHEMA["properties"][name]
        rules = next(each for each in declared.get("anyOf", [declared]) if each["type"] != "null")
        return cls(KINDS[rules["type"]], rules, declared.get("default") if name in OPTIONS else None)

    @property
    def max_length(self) -> int | None:
        """Of a text, in characters."""
        return self.rules.get("maxLength")

    @property
    def help(self) -> str | None:
        """What it means, for people."""
        return self.rules.get("description")

    def read(self, text: str) -> Any:
        """The value of a text. Raises ValueError with a reason for people."""
        value = self._parsed(text.strip())
        if value not in self.rules.get("enum", [value]):
            raise ValueError(f"must be one of {', '.join(self.rules['enum'])}")
        for rule, (holds, words) in LIMITS.items():
            if rule in self.rules and not holds(value, self.rules[rule]):
                raise ValueError(f"must be {words} {self.rules[rule]:,}")
        if self.max_length is not None and len(value) > self.max_length:
            raise ValueError(f"must have at most {self.max_length:,} characters")
        return value

    def _parsed(self, text: str) -> Any:
        try:
            return self.kind(text)
        except ValueError:
            kind = "a whole number" if self.kind is int else "a number"
            raise ValueError(f"must be {kind}") from None


FIELDS = {name: Field.of(name) for name in (*ABOUT, *OPTIONS)} | {MORE: Field(str, {"maxLength": 4000})}


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
                self.problems[name] = "is required"

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
