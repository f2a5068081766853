"""Live updates: one hub gathers what changed, each open page gets it at most once a second.

The hub coalesces: between two ticks only the newest value of a series counts, and a client that
reads slowly finds the newest values when it comes back. Nothing here grows with time: the hub
keeps at most `max_series` series, and forgets the longest unseen one for a new one; a client has
at most `max_series_per_client` changes and 100 alerts. What was not told is counted in `dropped`.
"""

import time
from collections import deque
from collections.abc import AsyncGenerator, Callable

import anyio

from cloud.dashboard.live_client import Client, Entry
from cloud.dashboard.needs import FleetPresence
from cloud.dashboard.presence import DeviceLimits, Shown, classify, limits_of
from wire.events import AlertNotice
from wire.ids import DeviceKey, SeriesKey
from wire.messages import Value
from wire.points import StoredBatch
from wire.quantities import format_value

_RATE_TICKS = 10
_NS_PER_MS = 1_000_000


def _wall_clock_ms() -> int:
    return time.time_ns() // _NS_PER_MS


class LiveHub:
    """Takes stored batches and alerts, and tells every open page what changed.

    All methods belong to one event loop. `offer` and `announce` never wait.
    """

    def __init__(
        self,
        presence: FleetPresence,
        limits: DeviceLimits | None = None,
        *,
        interval_s: float = 1.0,
        heartbeat_s: float = 15.0,
        max_series: int = 50_000,
        max_series_per_client: int = 2_000,
        max_clients: int = 200,
        clock_ms: Callable[[], int] = _wall_clock_ms,
    ) -> None:
        self.dropped = 0
        self._seen = presence
        self._limits = limits or limits_of([])
        self._interval_s = interval_s
        self._heartbeat_s = heartbeat_s
        self._max_series = max_series
        self._max_series_per_client = max_series_per_client
        self._max_clients = max_clients
        self._clock_ms = clock_ms
        # In order of when they were seen, the longest unseen first.
        self._latest: dict[SeriesKey, tuple[int, Value]] = {}
        self._changed: set[SeriesKey] = set()
        self._shown: dict[DeviceKey, Shown] = {}
        self._clients: set[Client] = set()
        self._counted = 0
        self._rates: deque[int] = deque(maxlen=_RATE_TICKS)
        self._sent_rate = -1.0
        self._stopped = False

    @property
    def points_per_s(self) -> float:
        """Points stored a second, over the last ten seconds."""
        if not self._rates:
            return 0.0
        return round(sum(self._rates) / (len(self._rates) * self._interval_s), 1)

    @property
    def is_full(self) -> bool:
        """Whether one more client would be refused."""
        return len(self._clients) >= self._max_clients

    @property
    def clients(self) -> int:
        """How many pages are open."""
        return len(self._clients)

    def latest(self, key: SeriesKey) -> tuple[int, Value] | None:
        """Return the newest value that passed through here: (Unix ms, value)."""
        return self._latest.get(key)

    def offer(self, batch: StoredBatch) -> None:
        """Take a stored batch; points older than the known newest change nothing."""
        points = batch.points
        self._counted += len(points)
        newest = dict(
            zip(points.series, zip(points.ts_ms, points.values, strict=True), strict=True)
        )
        for key, point in newest.items():
            known = self._latest.pop(key, None)
            if known is None and len(self._latest) >= self._max_series:
                self._forget_longest_unseen()
            if known is None or point[0] >= known[0]:
                self._latest[key] = point
                self._changed.add(key)
            else:
                self._latest[key] = known

    def _forget_longest_unseen(self) -> None:
        key = next(iter(self._latest))
        del self._latest[key]
        if key in self._changed:
            self._changed.remove(key)
            self.dropped += 1

    def announce(self, notice: AlertNotice) -> None:
        """Tell every page that an alert fired or was resolved."""
        for client in self._clients:
            if client.device in (None, DeviceKey(notice.tenant, notice.device)):  # type: ignore[arg-type]
                client.put_alert(notice)
                client.wake.set()

    async def run(self) -> None:
        """Send what changed once per interval, until cancelled; then every stream ends."""
        self._stopped = False
        try:
            while True:
                await anyio.sleep(self._interval_s)
                self.tick(self._clock_ms())
        finally:
            self._stopped = True
            for client in self._clients:
                client.wake.set()

    def tick(self, now_ms: int) -> None:
        """Hand everything that changed since the last tick to the clients."""
        self._rates.append(self._counted)
        self._counted = 0
        rate, changed = self.points_per_s, self._changed
        self._changed = set()
        if not self._clients:
            return
        entries = self._by_device(changed)
        presence = self._presence_changes(now_ms)
        for client in self._clients:
            told = self._tell(client, entries, presence)
            if told or rate != self._sent_rate:
                client.put_clock(now_ms, rate)
                client.wake.set()
        self._sent_rate = rate

    async def frames(self, device: DeviceKey | None = None) -> AsyncGenerator[str, None]:
        """Yield server-sent events for one page, of all devices or of one, until it leaves."""
        client = Client(device, self._max_series_per_client)
        if self.is_full or self._stopped:
            return
        self._join(client)
        try:
            yield "retry: 3000\n\n"
            while not self._stopped:
                with anyio.move_on_after(self._heartbeat_s):
                    await client.wake.wait()
                yield client.take() or ": heartbeat\n\n"
        finally:
            self._clients.discard(client)

    def _join(self, client: Client) -> None:
        client.put_clock(self._clock_ms(), self.points_per_s)
        client.wake.set()
        if not self._clients:
            self._shown = self._presence_now(self._clock_ms())
        self._clients.add(client)

    def _tell(
        self,
        client: Client,
        entries: dict[DeviceKey, dict[SeriesKey, Entry]],
        presence: dict[DeviceKey, Shown],
    ) -> bool:
        if client.device is None:
            wanted = list(entries.values())
            seen = presence
        else:
            wanted = [entries[client.device]] if client.device in entries else []
            seen = {client.device: presence[client.device]} if client.device in presence else {}
        for changed in wanted:
            client.put_points(changed)
        client.put_presence(seen)
        return bool(wanted or seen)

    def _by_device(self, changed: set[SeriesKey]) -> dict[DeviceKey, dict[SeriesKey, Entry]]:
        grouped: dict[DeviceKey, dict[SeriesKey, Entry]] = {}
        for key in changed:
            ts_ms, value = self._latest[key]
            entry = (*key, ts_ms, value, format_value(key.metric, value))
            grouped.setdefault(DeviceKey(key.tenant, key.device), {})[key] = entry
        return grouped

    def _presence_now(self, now_ms: int) -> dict[DeviceKey, Shown]:
        limits = self._limits
        return {
            key: classify(seen, now_ms, limits.of(key)) for key, seen in self._seen.all().items()
        }

    def _presence_changes(self, now_ms: int) -> dict[DeviceKey, Shown]:
        before, self._shown = self._shown, self._presence_now(now_ms)
        return {key: state for key, state in self._shown.items() if before.get(key) != state}
