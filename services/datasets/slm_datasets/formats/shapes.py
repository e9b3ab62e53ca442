"""What kinds of values rows hold, learned row by row: a column and a nested field must hold one kind throughout.

A row of which keys and types were seen before is done with one dictionary look-up; that is what makes checking a
million rows a matter of a second.
"""

from typing import Any

from slm_datasets.formats.problems import FileProblemError

MAX_DEPTH = 64
MAX_COLUMNS = 4096
MAX_KNOWN = 10_000
# Floats beyond this no longer hold every integer: the digits in the file have to be looked at.
EXACT = 2**53
PLACE = "\0"
"""Stands in a message for the word `line` or `row`."""
KINDS: dict[type, str] = {bool: "boolean", int: "number", float: "number", str: "text", list: "list", dict: "object"}
NUMBERS = {int, float}
NESTED = {list, dict}

Known = tuple[tuple[tuple[str, "Node"], ...], tuple[str, ...]]


class SuspiciousNumberError(Exception):
    """A number that may have lost digits when it was parsed; the text has to be parsed exactly."""


class Node:
    """What is known of the values at one place of the rows: a column, a nested field, or the items of a list."""

    __slots__ = ("fields", "first_place", "items", "kind", "known", "types")

    def __init__(self) -> None:
        self.kind: str | None = None
        self.types: set[type] = set()
        self.first_place = 0
        self.fields: dict[str, Node] = {}
        self.items: Node | None = None
        self.known: dict[tuple[Any, ...], Known] = {}

    def learn(self, value: Any, place: int) -> None:
        """Note the kind of one value. Raises FileProblemError with an empty path when it is another one."""
        if value is None:
            return
        kind = KINDS[type(value)]
        if self.kind is None:
            self.kind, self.first_place = kind, place
        elif kind != self.kind:
            raise _conflict(kind, self.kind, place, self.first_place)
        self.types.add(type(value))


def _conflict(kind: str, first_kind: str, place: int, first_place: int) -> FileProblemError:
    article = {"object": "an"}
    first = f"{article.get(first_kind, 'a')} {first_kind}"
    message = f"has {article.get(kind, 'a')} {kind} in a column that held {first} in {PLACE} {first_place}."
    return FileProblemError("type_conflict", message, place, path="")


def check_object(
    row: dict[str, Any], node: Node, place: int, depth: int = MAX_DEPTH, *, are_numbers_exact: bool = False
) -> int:
    """Check an object and everything in it against what is known; how many keys there are in all.

    Raises FileProblemError with the path to the value, and SuspiciousNumberError unless the parser was an exact one.
    """
    shape = (*row, *map(type, row.values()))
    known = node.known.get(shape)
    if known is None:
        known = _learn_object(row, node, place)
        if len(node.known) < MAX_KNOWN:
            node.known[shape] = known
    nested, numbers = known
    if not are_numbers_exact:
        for name in numbers:
            if not -EXACT < row[name] < EXACT:
                raise SuspiciousNumberError
    keys = len(row)
    for name, child in nested:
        try:
            keys += _check_nested(row[name], child, place, depth - 1, are_numbers_exact)
        except FileProblemError as problem:
            raise _inside(problem, name) from None
    return keys


def _learn_object(row: dict[str, Any], node: Node, place: int) -> Known:
    for name, value in row.items():
        child = node.fields.get(name)
        if child is None:
            child = node.fields[name] = Node()
        try:
            child.learn(value, place)
        except FileProblemError as problem:
            raise _inside(problem, name) from None
    if len(node.fields) > MAX_COLUMNS:
        raise FileProblemError("too_many_columns", f"has more than {MAX_COLUMNS} columns.", place, path="")
    nested = tuple((name, node.fields[name]) for name, value in row.items() if type(value) in NESTED)
    return nested, tuple(name for name, value in row.items() if type(value) in NUMBERS)


def _check_nested(value: Any, node: Node, place: int, depth: int, are_numbers_exact: bool) -> int:
    if depth <= 0:
        raise FileProblemError("too_deep", f"is nested deeper than {MAX_DEPTH} levels.", place, path="")
    if type(value) is dict:
        return check_object(value, node, place, depth, are_numbers_exact=are_numbers_exact)
    items = node.items
    if items is None:
        items = node.items = Node()
    keys = 0
    for index, item in enumerate(value):
        try:
            if (kind := type(item)) not in items.types:
                items.learn(item, place)
            if kind in NESTED:
                keys += _check_nested(item, items, place, depth - 1, are_numbers_exact)
            elif kind in NUMBERS and not are_numbers_exact and not -EXACT < item < EXACT:
                raise SuspiciousNumberError
        except FileProblemError as problem:
            raise _inside(problem, str(index)) from None
    return keys


def _inside(problem: FileProblemError, name: str) -> FileProblemError:
    """The same problem, seen from one level further out."""
    escaped = name.replace("~", "~0").replace("/", "~1")
    problem.path = f"/{escaped}{problem.path or ''}"
    problem.column = name
    return problem
