"""Sparkplug sessions as rows of the ledger's file, written in the transaction of their batch."""

from collections.abc import Callable, Iterable
from typing import Any

from wire.ids import DeviceId, DeviceKey, TenantId
from wire.sparkplug.births import Birth
from wire.sparkplug.session import Saved
from wire.sparkplug.topics import Node, key_of, names_of

Execute = Callable[[str, tuple[object, ...]], object]
Rows = Callable[[str, tuple[object, ...]], list[Any]]

_PUT_NODE = (
    "INSERT OR REPLACE INTO sparkplug_nodes (tenant, edge, bd_seq, birth_digest, expected)"
    " VALUES (?, ?, ?, ?, ?)"
)
_PUT_BIRTH = (
    "INSERT OR REPLACE INTO sparkplug_births (tenant, edge, device, metrics) VALUES (?, ?, ?, ?)"
)
_NODE = "SELECT bd_seq, birth_digest, expected FROM sparkplug_nodes WHERE tenant = ? AND edge = ?"
_BIRTHS = "SELECT device, metrics FROM sparkplug_births WHERE tenant = ? AND edge = ?"
_DEAD = "SELECT tenant, edge, device FROM sparkplug_births WHERE metrics IS NULL"

_FORGET_TENANT = (
    "DELETE FROM sparkplug_nodes WHERE tenant = ?",
    "DELETE FROM sparkplug_births WHERE tenant = ?",
)
_FORGET_NODE = "DELETE FROM sparkplug_nodes WHERE tenant = ? AND edge = ?"
_FORGET_BIRTH = "DELETE FROM sparkplug_births WHERE tenant = ? AND edge = ? AND device = ?"


def put(execute: Execute, sessions: Iterable[Saved]) -> None:
    """Write sessions, and those of their births that changed."""
    for saved in sessions:
        execute(_PUT_NODE, (*saved.node, saved.bd_seq, saved.birth_digest, saved.expected))
        for device, birth in saved.births.items():
            metrics = None if birth is None else birth.encode()
            execute(_PUT_BIRTH, (*saved.node, device or "", metrics))


def session_of(rows: Rows, node: Node) -> Saved:
    """Return what is kept of a node's session; an empty one when nothing is."""
    found = rows(_NODE, node)
    births = {
        device or None: None if metrics is None else Birth.decode(metrics)
        for device, metrics in rows(_BIRTHS, node)
    }
    if not found:
        return Saved(node)
    bd_seq, birth_digest, expected = found[0]
    return Saved(node, bd_seq, birth_digest, expected, births)


def forget(execute: Execute, tenant: str, name: str | None = None) -> None:
    """Forget a device's birth, with a node's its session; None: all of the tenant's."""
    if name is None:
        for statement in _FORGET_TENANT:
            execute(statement, (tenant,))
        return
    edge, device = names_of(name)
    if device is None:
        execute(_FORGET_NODE, (tenant, edge))
    execute(_FORGET_BIRTH, (tenant, edge, device or ""))


def dead(rows: Rows) -> list[DeviceKey]:
    """Return the nodes and devices whose last word was a death."""
    return [
        key_of(Node(TenantId(tenant), DeviceId(edge)), device or None)
        for tenant, edge, device in rows(_DEAD, ())
    ]
