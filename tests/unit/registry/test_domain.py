"""Names of models, what is read from their files, and lineages as flowcharts."""

import json
import struct
from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slm_registry.domain import (
    architecture_of,
    model_name,
    parameters_in,
    parse_model_name,
)
from slm_registry.domain.graph import Lineage, LineageEdge, LineageNode
from slm_registry.settings import packaged_models

FAMILIES = st.from_regex(r"[a-z0-9]+(-[a-z0-9]+)*", fullmatch=True)
VERSIONS = st.integers(1, 10**9 - 1)


@given(FAMILIES, VERSIONS)
def test_a_name_gives_back_its_family_and_version(family: str, version: int) -> None:
    assert parse_model_name(model_name(family, version)) == (family, version)


@given(st.text() | st.from_regex(r"[a-z-]*-v[0-9]*", fullmatch=True))
def test_what_is_read_as_a_name_is_a_name(text: str) -> None:
    parsed = parse_model_name(text)
    assert parsed is None or model_name(*parsed) == text


@pytest.mark.parametrize(
    "text",
    ["", "nano", "nano-v", "nano-v0", "nano-v01", "-v1", "Nano-v1", "nano_x-v1", "a--b-v1", "nano-v1\n", "nano-v1.5"],
)
def test_other_texts_are_no_names(text: str) -> None:
    assert parse_model_name(text) is None


def test_the_version_is_what_follows_the_last_mark() -> None:
    assert parse_model_name("nano-v2-v3") == ("nano-v2", 3)


@given(st.lists(st.lists(st.integers(0, 50), max_size=4)))
def test_parameters_are_the_sizes_of_all_tensors(shapes: list[list[int]]) -> None:
    header = {f"t{n}": {"dtype": "F16", "shape": shape, "data_offsets": [0, 0]} for n, shape in enumerate(shapes)}
    assert parameters_in({"__metadata__": {"format": "pt"}, **header}) == sum(prod(shape) for shape in shapes)


def test_parameters_of_the_builtin_model_fill_its_file() -> None:
    with (packaged_models() / "nano-v1" / "model.safetensors").open("rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        header = json.loads(stream.read(length))
        weights = len(stream.read())
    assert {tensor["dtype"] for name, tensor in header.items() if name != "__metadata__"} == {"F16"}
    assert parameters_in(header) * 2 == weights


def test_an_architecture_is_what_the_config_says_and_no_more() -> None:
    config = {"architectures": ["LlamaForCausalLM"], "hidden_size": 192, "vocab_size": 4096, "_name_or_path": "/home/x"}
    assert architecture_of(config) == {"architectures": ["LlamaForCausalLM"], "hidden_size": 192, "vocab_size": 4096}
    assert architecture_of({}) == {"architectures": []}


def test_a_flowchart_has_a_line_for_each_node_and_edge() -> None:
    graph = Lineage(
        (LineageNode("d", "dataset", "orders-v1"), LineageNode("r", "run", "Run 1")), (LineageEdge("d", "r", "trains"),)
    )
    assert graph.mermaid() == (
        'flowchart LR\n  n0["dataset<br>orders-v1"]\n  n1["run<br>Run 1"]\n  n0 -- trains --> n1\n'
    )


@given(st.text())
def test_no_name_breaks_out_of_a_flowchart(name: str) -> None:
    lines = Lineage((LineageNode("x", "run", name),), ()).mermaid().split("\n")
    assert lines[0] == "flowchart LR"
    assert lines[2:] == [""]
    label = lines[1].removeprefix('  n0["run<br>').removesuffix('"]')
    assert not set(label) & set("\"'<>[](){}|`&\\\r")
    assert unescaped(label) == name


def unescaped(label: str) -> str:
    """A label as Mermaid reads it: `#34;` is the character 34."""
    first, *others = label.split("#")
    parts = [part.split(";", 1) for part in others]
    return first + "".join(chr(int(code)) + rest for code, rest in parts)
