"""How alerts are read from the state and written to it."""

from collections.abc import Iterable
from typing import Any

import msgspec

from tidegate.contract import State
from wire.events import AlertNotice
from wire.records import ALERTS

# The firing ones alone: what has to be looked through often stays small.
OPEN_ALERTS = "open_alerts"
RESOLVED_KEPT_S = 7 * 24 * 3600.0


async def find(state: State, alert_id: str) -> AlertNotice | None:
    """Return an alert."""
    kept = await state.get(ALERTS, alert_id)
    return None if kept is None else msgspec.convert(kept, AlertNotice)


async def keep(state: State, alert: AlertNotice) -> None:
    """Keep an alert's new state."""
    plain = msgspec.to_builtins(alert)
    if alert.status == "firing":
        await state.set(ALERTS, alert.alert_id, plain)
        await state.set(OPEN_ALERTS, alert.alert_id, plain)
    else:
        # By our clock, not the alert's: a replayed year-old alert is as new as any other.
        await state.set(ALERTS, alert.alert_id, plain, ttl=RESOLVED_KEPT_S)
        await state.delete(OPEN_ALERTS, alert.alert_id)


async def open_alerts(state: State) -> list[AlertNotice]:
    """Return the firing alerts."""
    return as_alerts(await state.get_group(OPEN_ALERTS))


def as_alerts(values: Iterable[Any]) -> list[AlertNotice]:
    """Read alerts as the state keeps them."""
    return [msgspec.convert(value, AlertNotice) for value in values]


def listed(alerts: Iterable[AlertNotice]) -> list[AlertNotice]:
    """Return alerts as people want to see them: firing ones first, the newest first."""
    return sorted(
        alerts, key=lambda alert: (alert.status != "firing", -alert.started_at_ms, alert.alert_id)
    )
