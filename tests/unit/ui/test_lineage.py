"""Where things stand in a drawn lineage."""

from hypothesis import given
from hypothesis import strategies as st

from slm_client.models import LineageEdge
from slm_ui.components.ancestry import layers_of

NODES = "abcdef"
EDGES = st.lists(st.tuples(st.sampled_from(NODES), st.sampled_from(NODES)), max_size=15)


def edges(pairs: list[tuple[str, str]]) -> list[LineageEdge]:
    return [LineageEdge(source=source, target=target, relation="") for source, target in pairs]


def test_everything_stands_behind_what_it_was_made_of() -> None:
    found = layers_of("abcd", edges([("a", "c"), ("b", "c"), ("c", "d"), ("b", "d")]))
    assert found == {"a": 0, "b": 0, "c": 1, "d": 2}


@given(EDGES)
def test_any_graph_without_a_cycle_leads_to_the_right(pairs: list[tuple[str, str]]) -> None:
    forward = [pair for pair in pairs if pair[0] < pair[1]]
    found = layers_of(NODES, edges(forward))
    assert all(found[source] < found[target] for source, target in forward)


@given(EDGES)
def test_a_cycle_ends_all_the_same(pairs: list[tuple[str, str]]) -> None:
    assert set(layers_of(NODES, edges(pairs))) == set(NODES)
