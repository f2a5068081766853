"""Whether a device is there: when it was last heard, and what its birth or last will said."""

import uuid
from typing import NamedTuple

from wire.ids import DeviceKey
from wire.messages import Status


class Seen(NamedTuple):
    """What is known of a device's presence; None where nothing is known (Unix ms)."""

    last_heard_ms: int | None = None
    online: bool | None = None


class Presence:
    """In memory, one entry a device. After a restart the ledger and retained statuses fill it.

    `listener` tells it from that of the process before, however quickly that was restarted.
    """

    def __init__(self) -> None:
        self.listener = uuid.uuid4().hex
        self._seen: dict[DeviceKey, Seen] = {}

    def heard(self, device: DeviceKey, at_ms: int) -> None:
        """Note that a device sent data. One that had left is back, whatever its will said."""
        seen = self._seen.get(device, Seen())
        if seen.last_heard_ms is None or at_ms > seen.last_heard_ms:
            online = True if seen.online is False else seen.online
            self._seen[device] = Seen(at_ms, online)

    def status(self, device: DeviceKey, status: Status, at_ms: int | None) -> None:
        """Note a birth or a last will. Only a birth means that the device was heard.

        `at_ms` None: the broker had retained it, and nobody knows since when it holds.
        """
        last_heard_ms = self.of(device).last_heard_ms
        is_online = status.state == "online"
        if is_online and at_ms is not None:
            last_heard_ms = max(at_ms, last_heard_ms or 0)
        self._seen[device] = Seen(last_heard_ms, is_online)

    def of(self, device: DeviceKey) -> Seen:
        """Return what is known of one device."""
        return self._seen.get(device, Seen())

    def all(self) -> dict[DeviceKey, Seen]:
        """Return what is known of every device, in no order."""
        return dict(self._seen)
