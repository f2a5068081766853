"""The topics of Sparkplug (version 3.0), and what a host says of itself. Pure."""

from typing import Literal, NamedTuple, cast, get_args

import msgspec

from wire.errors import Malformed
from wire.ids import DeviceId, DeviceKey, TenantId, device_id, tenant_id

NAMESPACE = "spBv1.0"
Kind = Literal["NBIRTH", "NDATA", "NDEATH", "NCMD", "DBIRTH", "DDATA", "DDEATH", "DCMD"]

_KINDS: frozenset[str] = frozenset(get_args(Kind))
_OF_NODES: tuple[Kind, ...] = ("NBIRTH", "NDATA", "NDEATH")
_OF_DEVICES: tuple[Kind, ...] = ("DBIRTH", "DDATA", "DDEATH")
_LEVELS = {"N": 4, "D": 5}
_JOINS_NAMES = ":"


class Node(NamedTuple):
    """An edge node of a group, which is our tenant."""

    group: TenantId
    edge: DeviceId


class Topic(NamedTuple):
    """A parsed topic; `device` is the device below the node, None for the node itself."""

    node: Node
    kind: Kind
    device: str | None

    @property
    def key(self) -> DeviceKey:
        """Return whose readings the topic's messages hold."""
        return key_of(self.node, self.device)


class State(msgspec.Struct, frozen=True):
    """Whether a host is there, since `timestamp` (Unix ms)."""

    online: bool
    timestamp: int


_states = msgspec.json.Decoder(State)


def parse(text: str) -> Topic:
    """Parse a topic of nodes and devices.

    Raises:
        Malformed: it is not one, or a name in it cannot be one of ours.
    """
    levels = text.split("/")
    if len(levels) not in _LEVELS.values() or levels[0] != NAMESPACE or levels[2] not in _KINDS:
        raise Malformed(f"topic is not {NAMESPACE}/{{group}}/{{type}}/{{node}}[/{{device}}]")
    kind = cast("Kind", levels[2])
    if len(levels) != _LEVELS[kind[0]]:
        raise Malformed(f"topic of {kind} has the wrong number of levels")
    node = Node(tenant_id(levels[1]), device_id(levels[3]))
    if _JOINS_NAMES in node.edge:
        raise Malformed("node name contains a colon, which stands between node and device here")
    found = Topic(node, kind, device_id(levels[4]) if kind[0] == "D" else None)
    device_id(found.key.device)  # both names together may be too long
    return found


def key_of(node: Node, device: str | None) -> DeviceKey:
    """Return what a node (`device` None) or a device below it is called with us."""
    name = node.edge if device is None else f"{node.edge}{_JOINS_NAMES}{device}"
    return DeviceKey(node.group, DeviceId(name))


def names_of(device: str) -> tuple[str, str | None]:
    """Return the node's and the device's own name (None: it is the node) of one as we call it."""
    edge, _, below = device.partition(_JOINS_NAMES)
    return edge, below or None


def command_topic(node: Node) -> str:
    """Return the topic on which a node is told something."""
    return f"{NAMESPACE}/{node.group}/NCMD/{node.edge}"


def state_topic(host_id: str) -> str:
    """Return the topic of a host's state; raise `Malformed` for an id that is no level of it."""
    return f"{NAMESPACE}/STATE/{device_id(host_id)}"


def encode_state(state: State) -> bytes:
    """Encode a host's state."""
    return msgspec.json.encode(state)


def decode_state(payload: bytes) -> State:
    """Decode a host's state; raise `Malformed`."""
    try:
        return _states.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise Malformed(f"state is not valid: {exc}") from exc


def filters(host_id: str) -> list[str]:
    """Return the MQTT filters of all that a host listens to, its own state included."""
    return [
        *(f"{NAMESPACE}/+/{kind}/+" for kind in _OF_NODES),
        *(f"{NAMESPACE}/+/{kind}/+/+" for kind in _OF_DEVICES),
        state_topic(host_id),
    ]
