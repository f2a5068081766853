"""Reads and sorts the alerts, deliveries and reports that a page shows. Pure."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from wire.events import AlertNotice
from wire.ids import DeviceKey
from wire.records import Delivery, Report

_RANK = {"critical": 0, "warning": 1, "info": 2}


class Alerts(NamedTuple):
    """Open alerts, worst and newest first, and resolved ones, newest first."""

    open: list[AlertNotice]
    past: list[AlertNotice]


def sort_alerts(values: Iterable[Any], device: DeviceKey | None = None) -> Alerts:
    """Return the alerts of the state group `alerts`, of all devices or of one."""
    notices = [msgspec.convert(value, AlertNotice) for value in values]
    if device is not None:
        notices = [one for one in notices if (one.tenant, one.device) == device]
    firing = [one for one in notices if one.status == "firing"]
    resolved = [one for one in notices if one.status == "resolved"]
    return Alerts(
        open=sorted(firing, key=lambda one: (_RANK[one.severity], -one.started_at_ms)),
        past=sorted(resolved, key=lambda one: -(one.ended_at_ms or one.started_at_ms)),
    )


def newest_deliveries(values: Iterable[Any]) -> list[Delivery]:
    """Return the deliveries of the state group `deliveries`, the newest first."""
    return sorted(msgspec.convert(list(values), list[Delivery]), key=lambda one: -one.at_ms)


def newest_reports(values: Iterable[Any]) -> list[Report]:
    """Return the reports of the state group `reports`, the newest first."""
    return sorted(msgspec.convert(list(values), list[Report]), key=lambda one: -one.created_at_ms)
