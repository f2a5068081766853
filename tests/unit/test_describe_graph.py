"""Pictures of steps show flows, topics, and topics that lack an end."""

from typing import Any

from tests.support.configs import api, event, surface
from tidegate.describe.drawing import dot, mermaid
from tidegate.describe.graph import graph

STEPS: tuple[dict[str, Any], ...] = (
    api("Order", "/orders", method="POST", emits=["order.placed", "order.lost"], flows=["shop"]),
    event("Pack", "order.*", emits=["order.packed"], flows=["shop", "stock"]),
    event("Bill", "bill.due", emits=["billed.*"], flows=['a "b"']),
    event("File", "billed.new", emits=[]),
    {"type": "noop", "name": "Courier", "subscribes": ["order.packed"]},
)


def _edges() -> set[tuple[str | None, str, str | None]]:
    return {(edge["from"], edge["topic"], edge["to"]) for edge in graph(surface(*STEPS))["edges"]}


def test_graph_follows_topics_and_wildcards() -> None:
    """An emitted topic leads to all who hear it, whichever side has the wildcard."""
    assert {
        ("Order", "order.placed", "Pack"),
        ("Order", "order.lost", "Pack"),
        ("Pack", "order.packed", "Pack"),
        ("Pack", "order.packed", "Courier"),
        ("Bill", "billed.*", "File"),
    } <= _edges()


def test_graph_shows_loose_ends() -> None:
    """A topic that nobody emits, or nobody hears, has an edge that lacks an end."""
    loose = surface(event("Only", "never.emitted", emits=["never.heard"]))

    edges = [(edge["from"], edge["topic"], edge["to"]) for edge in graph(loose)["edges"]]

    assert edges == [(None, "never.emitted", "Only"), ("Only", "never.heard", None)]
    assert (None, "bill.due", "Bill") in _edges()


def test_graph_draws_flows_as_subgraphs() -> None:
    """Each flow is a group; quotes in names break neither language."""
    as_mermaid, as_dot = mermaid(surface(*STEPS)), dot(surface(*STEPS))

    assert 'subgraph flow2["shop"]' in as_mermaid
    assert '["a #34;b#34;"]' in as_mermaid
    assert 'label="shop";' in as_dot
    assert 'label="a \\"b\\"";' in as_dot


def test_graph_draws_edges_with_topics_and_dashes_loose_ones() -> None:
    """Topics are the edges' labels; a loose one is a dashed oval."""
    as_mermaid, as_dot = mermaid(surface(*STEPS)), dot(surface(*STEPS))

    assert '-->|"order.placed"|' in as_mermaid
    assert '(["bill.due"]):::loose' in as_mermaid
    assert '"Order" -> "Pack" [label="order.placed"];' in as_dot
    assert '[label="bill.due", shape=ellipse, style=dashed];' in as_dot
