"""What one open page has not been told yet, as bounded, coalesced server-sent events."""

from collections import deque
from collections.abc import Mapping

import anyio
import msgspec

from cloud.dashboard.presence import Shown
from wire.events import AlertNotice
from wire.ids import DeviceKey, SeriesKey
from wire.messages import Value

_MAX_ALERTS = 100

Entry = tuple[str, str, str, int, Value, str]


class Client:
    """One open page: what changed since it was last written to."""

    def __init__(self, device: DeviceKey | None, max_series: int) -> None:
        self.device = device
        self.wake = anyio.Event()
        self.dropped = 0
        self._max_series = max_series
        self._points: dict[SeriesKey, Entry] = {}
        self._presence: dict[DeviceKey, Shown] = {}
        self._alerts: deque[AlertNotice] = deque(maxlen=_MAX_ALERTS)
        self._clock: tuple[int, float] | None = None

    def put_points(self, changed: Mapping[SeriesKey, Entry]) -> None:
        """Take changes; a newer value replaces one that was not sent yet."""
        pending = self._points
        if len(pending) + len(changed) <= self._max_series:
            pending.update(changed)
            return
        for key, entry in changed.items():
            if key in pending or len(pending) < self._max_series:
                pending[key] = entry
            else:
                self.dropped += 1

    def put_clock(self, now_ms: int, points_per_s: float) -> None:
        """Note the server's time and the rate of points, sent with the next points."""
        self._clock = (now_ms, points_per_s)

    def put_presence(self, changed: Mapping[DeviceKey, Shown]) -> None:
        """Take changes of presence."""
        self._presence.update(changed)

    def put_alert(self, notice: AlertNotice) -> None:
        """Take an alert; beyond 100 unsent ones the oldest is dropped."""
        self.dropped += len(self._alerts) == _MAX_ALERTS
        self._alerts.append(notice)

    def take(self) -> str:
        """Return everything unsent as server-sent events, '' when there is nothing."""
        frames = []
        if self._clock is not None:
            now_ms, rate = self._clock
            points = list(self._points.values())
            frames.append(_frame("points", {"now": now_ms, "rate": rate, "points": points}))
        frames += [
            _frame("presence", {"tenant": key.tenant, "device": key.device, "state": state})
            for key, state in self._presence.items()
        ]
        frames += [_frame("alert", notice) for notice in self._alerts]
        self._points, self._presence, self._clock = {}, {}, None
        self._alerts.clear()
        self.wake = anyio.Event()
        return "".join(frames)


def _frame(event: str, data: object) -> str:
    return f"event: {event}\ndata: {msgspec.json.encode(data).decode()}\n\n"
