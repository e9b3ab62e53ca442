"""Benchmark suites: YAML files that say which tasks of `lm-eval` are run, and how.

A task is the name of one that comes with `lm-eval` and reads a hub, or is written out like a task file of `lm-eval` and
then is about the rows of the dataset; files hold data only, no code. The format of a task is that of
https://github.com/EleutherAI/lm-evaluation-harness/blob/main/docs/task_guide.md without `dataset_path` and splits.
"""

from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from slm_evaluation.errors import SuiteInvalidError, SuiteNotFoundError
from slm_evaluation.schemas.evaluations import Suite
from slm_evaluation.schemas.leases import SuiteRef
from slm_shared.errors import Hint

SHIPPED = Path(str(files("slm_evaluation"))) / "suites"
# The platform says itself where the rows come from.
RESERVED = frozenset({"dataset_path", "dataset_name", "dataset_kwargs", "custom_dataset", "unsafe_code"})

TaskName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=80)]


class SuiteFile(BaseModel):
    """What stands in the file of a suite; `limit` is the rows of a task, all of them without one."""

    model_config = ConfigDict(extra="forbid")

    description: Annotated[str, Field(max_length=500)] = ""
    tasks: Annotated[list[TaskName | dict[str, Any]], Field(min_length=1, max_length=20)]
    few_shot: Annotated[int, Field(strict=True, ge=0, le=100)] = 0
    limit: Annotated[int, Field(strict=True, ge=1)] | None = None
    chat: bool = True

    @field_validator("tasks")
    @classmethod
    def _named_once(cls, tasks: list[str | dict[str, Any]]) -> list[str | dict[str, Any]]:
        for task in tasks:
            if isinstance(task, dict) and (not isinstance(task.get("task"), str) or RESERVED & task.keys()):
                raise ValueError(f"a task that is written out has a name (task) and none of {sorted(RESERVED)}")
        names = [_name(task) for task in tasks]
        if len(set(names)) < len(names):
            raise ValueError("a task is named twice")
        return tasks


def read_suite(folder: Path | None, name: str) -> SuiteRef:
    """A suite as an evaluation carries it. Raises SuiteNotFoundError and SuiteInvalidError."""
    path = _found(folder).get(name)
    if path is None:
        raise SuiteNotFoundError(f"There is no benchmark suite {name}.", hint=Hint.LIST_SUITES)
    return SuiteRef.model_validate({"name": name, **_read(path).model_dump(exclude={"description"})})


def list_suites(folder: Path | None) -> list[Suite]:
    """Every suite, by name. Raises SuiteInvalidError."""
    return [_shown(name, _read(path)) for name, path in sorted(_found(folder).items())]


def _found(folder: Path | None) -> dict[str, Path]:
    """The file of each suite; the configured folder goes before what ships."""
    folders = [SHIPPED] if folder is None else [SHIPPED, folder]
    return {path.stem: path for each in folders for path in each.glob("*.yaml")}


def _read(path: Path) -> SuiteFile:
    try:
        return SuiteFile.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError) as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else None
        where = f": {'.'.join(map(str, first['loc']))}: {first['msg']}" if first else ", or is no YAML"
        raise SuiteInvalidError(f"The file of the suite {path.stem} cannot be used{where}.") from error


def _name(task: str | dict[str, Any]) -> str:
    return task if isinstance(task, str) else str(task["task"])


def _shown(name: str, suite: SuiteFile) -> Suite:
    local = [_name(task) for task in suite.tasks if isinstance(task, dict)]
    facts = suite.model_dump(exclude={"tasks"})
    return Suite(name=name, tasks=[_name(task) for task in suite.tasks], local=local, **facts)
