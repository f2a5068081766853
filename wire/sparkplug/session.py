"""The session of one edge node, as the host follows it. Pure; times are ms of one clock."""

from typing import NamedTuple

import msgspec

from wire.codecs.sparkplug import Payload, encode, sent
from wire.codecs.sparkplug_types import DataType
from wire.errors import Malformed
from wire.sparkplug.births import UNBORN, Birth, bd_seq_of
from wire.sparkplug.sequence import Sequence
from wire.sparkplug.topics import Node

REBIRTH = "Node Control/Rebirth"
MAX_DEVICES = 1_000
MAX_METRICS_BELOW = 100_000
_MAX_DOUBLINGS = 6


class Patience(NamedTuple):
    """How long missing messages may still come, and the shortest time between rebirth requests."""

    reorder_ms: int
    rebirth_ms: int


class Saved(msgspec.Struct, frozen=True):
    """A session as it is kept over restarts.

    `births` holds those that changed: device (None: the node) → its birth, None for the dead.
    """

    node: Node
    bd_seq: int | None = None
    birth_digest: int | None = None
    expected: int | None = None
    births: dict[str | None, Birth | None] = {}


class Session:
    """What is known of a node: its births, its sequence, and whether it must be born again."""

    def __init__(self, saved: Saved, patience: Patience) -> None:
        self.node = saved.node
        self._patience = patience
        self._bd_seq = saved.bd_seq
        self._birth_digest = saved.birth_digest
        self._births = {
            device: birth for device, birth in saved.births.items() if birth is not None
        }
        self._changed: set[str | None] = set()
        self._sequence = Sequence(saved.expected)
        self._needs_birth = False
        self._requests = 0
        self._next_request_ms: int | None = None
        self.lost = 0

    @property
    def is_born(self) -> bool:
        """Return whether the node's own birth is known, and no death since."""
        return None in self._births

    @property
    def is_restless(self) -> bool:
        """Return whether `rebirth_due` has to be asked again."""
        return self._needs_birth or not self._sequence.is_whole

    def birth_of(self, device: str | None) -> Birth:
        """Return what is known of the metrics of the node (None) or of a device below it."""
        return self._births.get(device, UNBORN)

    def take_node_birth(
        self, payload: Payload, digest: int, *, is_redelivery: bool
    ) -> list[str] | None:
        """Begin anew with a birth of the node; None when it is the same message once more.

        Returns the devices whose death that means: they were born in a session that has ended,
        and its death was missed.
        """
        is_told_apart = is_redelivery or payload.ts_ms is not None
        if self.is_born and is_told_apart and digest == self._birth_digest:
            return None
        bd_seq = bd_seq_of(payload)
        was_missed = self.is_born and bd_seq != self._bd_seq
        gone = [one for one in self._births if one is not None] if was_missed else []
        for device in list(self._births):
            self._forget_birth(device)
        self._set_birth(None, Birth.of(payload))
        self._bd_seq, self._birth_digest = bd_seq, digest
        self._sequence.begin(payload.seq or 0, digest)
        self._needs_birth, self._requests = False, 0
        return gone

    def take_device_birth(self, device: str, payload: Payload) -> None:
        """Note a device's birth; without one of its node, that has to come too.

        Raises:
            Malformed: the node has too many devices, or these too many metrics.
        """
        birth = Birth.of(payload)
        others = [one for name, one in self._births.items() if name not in (None, device)]
        if len(others) >= MAX_DEVICES:
            raise Malformed(f"node has more than {MAX_DEVICES} devices: spread them over others")
        if sum(map(len, others)) + len(birth) > MAX_METRICS_BELOW:
            raise Malformed(f"devices have more than {MAX_METRICS_BELOW} metrics: spread them")
        self._needs_birth = self._needs_birth or not self.is_born
        self._set_birth(device, birth)

    def take_number(
        self, payload: Payload, digest: int, *, is_redelivery: bool, now_ms: int
    ) -> bool:
        """Note a message's place in the sequence; False when it is the same one once more."""
        if payload.seq is None:
            return True
        return self._sequence.take(payload.seq, digest, is_redelivery=is_redelivery, now_ms=now_ms)

    def take_node_death(self, bd_seq: int | None) -> list[str | None]:
        """End the session; return whom that makes leave: None is the node, first.

        The death of another session than the one known changes nothing: the will of a
        connection that had broken may come after the birth in the next one.
        """
        if self.is_born and bd_seq != self._bd_seq:
            return []
        gone = [None, *(one for one in self._births if one is not None)]
        for device in gone:
            self._forget_birth(device)
        self._sequence.give_up()
        self._needs_birth = False
        return gone

    def take_device_death(self, device: str) -> None:
        """Note that a device has left its node."""
        if device in self._births:
            self._forget_birth(device)

    def need_birth(self) -> None:
        """Note that something cannot be read without a birth."""
        self._needs_birth = True

    def rebirth_due(self, now_ms: int) -> bool:
        """Tell whether the node is to be asked for its births now; yes means that it is asked.

        Repeated requests come at twice the distance each time: not every node answers.
        """
        if self._sequence.is_broken(now_ms, patience_ms=self._patience.reorder_ms):
            self.lost += self._sequence.give_up()
            self._needs_birth = True
        if not self._needs_birth:
            return False
        if self._next_request_ms is not None and now_ms < self._next_request_ms:
            return False
        doublings = min(self._requests, _MAX_DOUBLINGS)
        self._next_request_ms = now_ms + (self._patience.rebirth_ms << doublings)
        self._requests += 1
        return True

    def saved(self) -> Saved:
        """Return the session to be kept, with the births that changed since the last call."""
        births = {device: self._births.get(device) for device in self._changed}
        self._changed = set()
        return Saved(self.node, self._bd_seq, self._birth_digest, self._sequence.expected, births)

    def _set_birth(self, device: str | None, birth: Birth) -> None:
        self._births[device] = birth
        self._changed.add(device)

    def _forget_birth(self, device: str | None) -> None:
        self._births.pop(device, None)
        self._changed.add(device)


def rebirth_request(now_ms: int) -> bytes:
    """Return the command that asks a node for its births; `now_ms` is Unix time."""
    metric = sent(REBIRTH, value=True, datatype=DataType.BOOLEAN, ts_ms=now_ms)
    return encode(Payload([metric], now_ms))
