"""The table of limits: what bounds what steps take and give."""

from collections.abc import Iterator

from scripts.pages.markdown import table
from tidegate.engine import engine, schedules, state, streams, transaction, values
from tidegate.http.limits import STANDARD
from tidegate.mqtt import session
from tidegate.store import bounds

_MIB, _KIB = 1024 * 1024, 1024
_DAY_S = 24 * 3600


def lines() -> Iterator[str]:
    """Return the lines of the table."""
    yield from table(("What", "Limit", "Beyond it"), _ROWS)


def _size(size_bytes: int) -> str:
    return f"{size_bytes // _MIB} MiB" if size_bytes >= _MIB else f"{size_bytes // _KIB} KiB"


def _time(seconds: float) -> str:
    return f"{seconds / _DAY_S:,.0f} d" if seconds >= _DAY_S else f"{seconds:,.0f} s"


_ROWS = (
    ("A request's head", _size(STANDARD.head_bytes), "431"),
    ("Until the head is there", _time(STANDARD.head_timeout_s), "the connection is closed"),
    ("A request's body", _size(STANDARD.body_bytes), "413"),
    ("Until the body is there", _time(STANDARD.body_timeout_s), "408"),
    ("A WebSocket message, either way", _size(STANDARD.message_bytes), "1009, `NonRetriable`"),
    ("Frames of one invocation", _size(STANDARD.message_bytes), "`NonRetriable`"),
    ("Frames that wait for a client", _size(STANDARD.waiting_bytes), "1013"),
    ("A WebSocket client that takes nothing", _time(STANDARD.stall_timeout_s), "1013"),
    ("A piece of a streamed answer is not taken", _time(STANDARD.send_timeout_s), "cut off"),
    ("An event's data, a value of the state", _size(values.MAX_VALUE_BYTES), "`NonRetriable`"),
    ("Name of a stream, group or key in it", _size(streams.MAX_NAME_BYTES), "`NonRetriable`"),
    ("`delay` and `at` of an emit", _time(transaction.MAX_DELAY_S), "`NonRetriable`"),
    ("`ttl` of a value", _time(state.MAX_TTL_S), "`NonRetriable`"),
    ("Runs of one invocation on conflicts", f"{engine.MAX_RUNS}", "503, or a failed attempt"),
    ("Missed cron runs that are caught up", f"{schedules.MOST_CAUGHT_UP:,}", "dropped"),
    ("An `id` of an emit is remembered", _time(bounds.REMEMBER_EMITTED_MS / 1000), "forgotten"),
    ("Dead letters", f"{bounds.MAX_DEAD:,}", "the oldest are dropped and counted"),
    ("Changes of a stream's group that are kept", f"{bounds.MAX_CHANGES:,}", "a fresh snapshot"),
    ("How long they are kept", _time(bounds.KEEP_CHANGES_MS / 1000), "a fresh snapshot"),
    ("An MQTT packet", _size(session.MAX_PACKET_BYTES), "the broker drops it"),
)
