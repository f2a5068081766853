"""Whether the broker is there, as the receiver tells it: counted always, logged once each way."""

import time

import structlog

from cloud.ingest.metrics import Metrics
from cloud.ingest.receiving.greeting import Greeting

# Who takes our session over again within this time is told of once.
_EPISODE_S = 300.0

_log = structlog.get_logger()


class Standing:
    """Of one receiver's thread: logs that the broker is away, is back, or that we have a double."""

    def __init__(self, client_id: str, metrics: Metrics) -> None:
        self._client_id = client_id
        self._metrics = metrics
        self._down_since_s: float | None = None
        self._told_taken_over = self._told_contest = False

    def note_session_lost(self) -> None:
        """The broker has forgotten us."""
        self._metrics.session_lost.inc()
        _log.error("session.lost", client_id=self._client_id)

    def note_up(self, generation: int) -> None:
        """The broker delivers to us, on our connection of that number."""
        if generation > 1:
            self._metrics.reconnects.inc()
        down_s = time.monotonic() - self._down_since_s if self._down_since_s else 0.0
        self._down_since_s = None
        if not (self._told_taken_over or self._told_contest):
            _log.info("broker.connected", generation=generation, down_s=round(down_s, 3))

    def note_down(self, reason: str, greeting: Greeting) -> None:
        """The connection has ended, or could not be made; the first time since it was up counts."""
        if self._down_since_s is not None:
            return
        self._down_since_s = time.monotonic()
        if greeting.was_taken_over:
            self._metrics.taken_over.inc()
            if not self._told_taken_over:
                self._told_taken_over = True
                _log.error("session.taken_over", client_id=self._client_id, reason=reason)
        elif not self._told_contest:
            _log.warning("broker.lost", reason=reason)

    def note_end(self, *, lasted_s: float, seems_contested: bool) -> None:
        """Log once when connections end as soon as they stand, until one of them lasts."""
        if lasted_s > _EPISODE_S:
            self._told_taken_over = False
        if not seems_contested:
            self._told_contest = False
        elif not self._told_contest:
            self._told_contest = True
            _log.error(
                "session.contested",
                client_id=self._client_id,
                hint="does another client use our client id? give every ingester its own",
            )
