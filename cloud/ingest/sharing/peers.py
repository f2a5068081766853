"""What the ingesters of a group tell each other, so that each ledger knows what all have stored.

In a group every member receives a part of each device's readings. Alone it would take the others'
parts for gaps, and acknowledge end to end nothing behind the first. So each tells the others the
sequences that are durable with it, as whole intervals: telling twice, late or in any order
changes nothing, and what got lost is made good by the next time. Who has just connected says
so with an empty list, and is told everything that was on somebody's mind lately.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from urllib.parse import quote

import msgspec

from cloud.ingest.ledger.accounts import BootRow
from cloud.ingest.ledger.spans import MAX_INTERVALS, Spans
from wire.errors import Malformed
from wire.ids import DeviceKey, device_id, tenant_id

_MAX_REMEMBERED = 20_000
_MAX_PAYLOAD_BYTES = 128 * 1024
_MAX_BOOT_CHARS = 64


class Claim(msgspec.Struct, frozen=True, array_like=True):
    """The sequences of one boot that are durable with a member of the group."""

    tenant: str
    device: str
    boot: str
    spans: list[tuple[int, int]]
    declared_first: int
    heard_at_ms: int

    def key(self) -> DeviceKey:
        """Return whose they are; raise `Malformed` for a name that cannot be one."""
        return DeviceKey(tenant_id(self.tenant), device_id(self.device))


class Peers:
    """One member's part of the conversation. `topic` is its own, `topic_filter` everybody's."""

    def __init__(self, group: str, member: str) -> None:
        name = quote(member, safe="")
        self.topic = f"ingest/{group}/{name}/seen"
        self.topic_filter = f"ingest/{group}/+/seen"
        self.prefix = f"ingest/{group}/".encode()
        self._unsaid: dict[tuple[DeviceKey, str], BootRow] = {}
        self._said: OrderedDict[tuple[DeviceKey, str], BootRow] = OrderedDict()
        self._greets = self._repeats = False

    def note(self, rows: Iterable[BootRow]) -> None:
        """Take rows that are durable here, to be told."""
        for row in rows:
            self._unsaid[row.device, row.boot] = row

    def greet(self) -> None:
        """Say that we are here, and tell again what we told lately: it may not have arrived."""
        self._greets = self._repeats = True

    def repeat(self) -> None:
        """Tell again what we told lately: somebody asks for it. From any thread, as `greet`."""
        self._repeats = True

    def due(self) -> Iterator[bytes]:
        """Return the payloads to publish now, and note them as told."""
        if self._greets:
            self._greets = False
            yield b"[]"
        unsaid, self._unsaid = self._unsaid, {}
        if self._repeats:
            self._repeats = False
            unsaid = {**self._said, **unsaid}
        part, size = list[bytes](), 0
        for key, row in unsaid.items():
            self._remember(key, row)
            text = msgspec.json.encode(_claim(row))
            part.append(text)
            size += len(text)
            if size > _MAX_PAYLOAD_BYTES:
                yield b"[" + b",".join(part) + b"]"
                part, size = [], 0
        if part:
            yield b"[" + b",".join(part) + b"]"

    def _remember(self, key: tuple[DeviceKey, str], row: BootRow) -> None:
        self._said[key] = row
        self._said.move_to_end(key)
        while len(self._said) > _MAX_REMEMBERED:
            self._said.popitem(last=False)


def claims_of(payload: bytes) -> list[Claim]:
    """Read what a member tells; raise `Malformed` for what no member would say."""
    try:
        claims = msgspec.json.decode(payload, type=list[Claim])
    except msgspec.DecodeError as exc:
        raise Malformed(f"not what an ingester tells its group: {exc}") from exc
    for claim in claims:
        claim.key()
        if not 0 < len(claim.boot) <= _MAX_BOOT_CHARS or len(claim.spans) > MAX_INTERVALS + 1:
            raise Malformed("a claim without a boot, or of too many intervals")
        if any(not 0 < start <= stop for start, stop in claim.spans):
            raise Malformed("an interval that is none")
    return claims


def _claim(row: BootRow) -> Claim:
    tenant, device = row.device
    seen = Spans(row.spans, forgotten=row.forgotten, closed=row.closed)
    return Claim(tenant, device, row.boot, seen.sure(), row.declared_first, row.heard_at_ms)
