"""Points as VictoriaMetrics takes and gives them: series of samples in JSON, line by line. Pure.

Numbers are `telemetry{tenant, device, metric}`; a text or a boolean is a sample 1 of
`telemetry_state{tenant, device, metric, state}`, whose `state` is its JSON. So names and values of
any characters come back as they were. Times are milliseconds, and a series has at most one sample
of a millisecond and a value: the order that tells readings of the same millisecond apart is lost.
"""

from typing import Any

import msgspec

from wire.ids import DeviceId, MetricName, SeriesKey, TenantId
from wire.messages import Value

NUMBERS, STATES = "telemetry", "telemetry_state"


class Limits(msgspec.Struct, frozen=True):
    """What the server would drop without a word: other times (ms), longer states (bytes)."""

    oldest_ms: int
    newest_ms: int
    state_bytes: int


class Samples(msgspec.Struct):
    """Some samples of one series, as the server's export writes them."""

    metric: dict[str, str]
    values: list[float | None]
    timestamps: list[int]


def value_of(metric: dict[str, str], number: float) -> Value:
    """Return the value that a sample stands for."""
    state = metric.get("state")
    if state is None or metric.get("__name__", STATES) != STATES:
        return number
    value: Value = msgspec.json.decode(state, type=bool | str)
    return value


def key_of(metric: dict[str, str]) -> SeriesKey:
    """Return whose series it is."""
    return SeriesKey(
        TenantId(metric["tenant"]), DeviceId(metric["device"]), MetricName(metric["metric"])
    )


def selector(
    names: str, database: str, *, tenant: str | None, device: str | None, metric: str | None = None
) -> str:
    """Return a selector of series of ours: `names` is a pattern, None stands for all.

    Without a database only those without one: other installations' are not ours.
    """
    parts = [f'__name__=~"{names}"', f"db={to_json(database)}"]
    for label, text in (("tenant", tenant), ("device", device), ("metric", metric)):
        # Somebody else's series of the same name do not have it.
        parts.append(f'{label}!=""')
        if text is not None:
            parts.append(f"{label}={to_json(text)}")
    return "{" + ",".join(parts) + "}"


def to_json(value: Any) -> str:
    """Return anything as JSON."""
    return msgspec.json.encode(value).decode()
