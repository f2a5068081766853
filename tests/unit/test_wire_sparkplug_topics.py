"""The topics of Sparkplug: whose they are, and the state of a host."""

import pytest

from wire.errors import Malformed
from wire.ids import DeviceKey, device_id, tenant_id
from wire.sparkplug.topics import Node, State, decode_state, encode_state, filters, parse

_NODE = Node(tenant_id("plant"), device_id("edge"))


def test_topics_say_whose_they_are() -> None:
    """A group is a tenant; a device below a node has both names."""
    assert parse("spBv1.0/plant/NDATA/edge").key == DeviceKey(_NODE.group, _NODE.edge)
    below = parse("spBv1.0/plant/DBIRTH/edge/Pump 1")
    assert below.key == DeviceKey(_NODE.group, device_id("edge:Pump 1"))
    assert (below.node, below.kind, below.device) == (_NODE, "DBIRTH", "Pump 1")


@pytest.mark.parametrize(
    "topic",
    [
        "spBv1.0/plant/NDATA",
        "spBv1.0/plant/NDATA/edge/pump",
        "spBv1.0/plant/DDATA/edge",
        "spBv1.0/plant/DDATA/edge/pump/x",
        "spBv1.0/plant/DDATA/edge/",
        "spBv1.0/plant/OTHER/edge",
        "spBv1.0/STATE/host",
        "spAv1.0/plant/NDATA/edge",
        "spBv1.0//NDATA/edge",
        "spBv1.0/plant/NDATA/a:b",
        f"spBv1.0/plant/DDATA/{'x' * 40}/{'y' * 40}",
        "spBv1.0/plant/DDATA/edge/ x",
        "spBv1.0/plant/NDATA/..",
    ],
)
def test_topics_that_are_nobodys(topic: str) -> None:
    """Two devices must never have one name; what cannot be a name of ours is refused."""
    with pytest.raises(Malformed):
        parse(topic)


def test_topics_state_round_trip() -> None:
    """`tck-id-host-topic-phid-birth-payload`: JSON of exactly two keys."""
    state = State(online=True, timestamp=5)

    assert encode_state(state) == b'{"online":true,"timestamp":5}'
    assert decode_state(encode_state(state)) == state
    assert "spBv1.0/STATE/scada" in filters("scada")
    for bad in (b"ONLINE", b"{}", b"\xff"):
        with pytest.raises(Malformed):
            decode_state(bad)
    with pytest.raises(Malformed):
        filters("a/b")
