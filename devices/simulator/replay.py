"""Replays a recording through MQTT, in order, at a chosen speed."""

import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import msgspec

from devices.simulator.link import Link, Login, Session, Target
from devices.simulator.recorded import Row, Span, read_rows, scan, shift_to
from wire.ids import MetricName
from wire.messages import Reading, Value

_LONGEST_WAIT_S = 0.5


class ReplayOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a recording is replayed.

    `speed` 1 is as recorded, 10 ten times as fast, 0 as fast as the broker acknowledges. With
    `to_now` all times are moved by the same amount, so that the last row is at now when it is
    sent (at a speed under 1: when the replay begins, so that none lies in the future).
    """

    metric: MetricName = MetricName("value")
    speed: float = 1.0
    to_now: bool = True
    rows_per_payload: int = 500
    patience_s: float = 60.0


def check(path: Path) -> Span:
    """Read the whole recording before anything is sent; raise `BadInput`."""
    return scan(path)


async def replay(
    path: Path,
    target: Target,
    login: Login,
    options: ReplayOptions,
    *,
    on_progress: Callable[[int], None] = lambda _rows: None,
) -> int:
    """Send every row; return how many, all acknowledged by the broker.

    `on_progress` is told how many more rows were acknowledged.

    Raises:
        BadInput: the recording is unusable; nothing was sent.
        NotDelivered: the broker refused us, or took nothing for `patience_s`.
    """
    span = await anyio.to_thread.run_sync(check, path)
    replayed = _Replay(path, options, span, on_progress)
    link = Link(target, login, boot=replayed.boot, patience_s=options.patience_s)
    await link.run(lambda session: replayed.send_all(link, session))
    return link.counts.sent


class _Replay:
    """The rows of a recording as payloads; goes on with the unacknowledged one after a loss."""

    def __init__(
        self, path: Path, options: ReplayOptions, span: Span, on_progress: Callable[[int], None]
    ) -> None:
        self.boot = secrets.token_hex(4)
        self._options = options
        self._first_ms = span.first_ms
        self._on_progress = on_progress
        self._began = anyio.current_time()
        self._shift_ms = shift_to(_end_ms(options, span), span) if options.to_now else 0
        self._payloads = _payloads(read_rows(path), options)
        self._unsent: list[Reading] = []
        self._seq = 0

    async def send_all(self, link: Link, session: Session) -> None:
        while self._unsent or self._take():
            await self._wait_until_due()
            await link.send(session, self._unsent)
            self._on_progress(len(self._unsent))
            self._unsent = []

    def _take(self) -> bool:
        """Make the next payload; return whether there is one."""
        for row in next(self._payloads, ()):
            self._seq += 1
            values: dict[MetricName, Value] = {self._options.metric: row.value}
            ts_ms = row.ts_ms + self._shift_ms
            self._unsent.append(Reading(values, ts_ms, self.boot, self._seq))
        return bool(self._unsent)

    async def _wait_until_due(self) -> None:
        """Wait until the payload's last row is due at the chosen speed."""
        if self._options.speed > 0:
            recorded_ms = (self._unsent[-1].ts_ms or 0) - self._shift_ms - self._first_ms
            await anyio.sleep_until(self._began + recorded_ms / 1000 / self._options.speed)


def _payloads(rows: Iterator[Row], options: ReplayOptions) -> Iterator[list[Row]]:
    """Group rows: at most `rows_per_payload`, and none waits over half a second for the last."""
    longest_ms = _LONGEST_WAIT_S * 1000 * options.speed if options.speed > 0 else float("inf")
    group: list[Row] = []
    for row in rows:
        late = bool(group) and row.ts_ms - group[0].ts_ms > longest_ms
        if late or len(group) >= options.rows_per_payload:
            yield group
            group = []
        group.append(row)
    if group:
        yield group


def _end_ms(options: ReplayOptions, span: Span) -> int:
    now_ms = time.time_ns() // 1_000_000
    if options.speed < 1:
        return now_ms
    return now_ms + round((span.last_ms - span.first_ms) / options.speed)
