"""Turns what is known of the fleet into what the overview shows of it. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

from cloud.dashboard.charts_view import Chart, machine_charts
from cloud.dashboard.fleet_view import FleetFacts, Row, fleet_rows, presence_of
from cloud.dashboard.presence import Shown
from wire.ids import LOCAL_TENANT, DeviceKey

MAX_ROWS = 100
_ONLINE: Shown = "online"


class Overview(NamedTuple):
    """The fleet: how many are there, the rows that match a query, and this machine's charts."""

    online: int
    total: int
    query: str
    matching: int
    rows: list[Row]
    spark_ms: int
    machine: DeviceKey | None
    machine_charts: list[Chart]


def overview(keys: Sequence[DeviceKey], facts: FleetFacts, query: str) -> Overview:
    """Return the overview of these devices; `query` narrows the rows to names that contain it."""
    matching = [key for key in keys if _matches(key, query)]
    machine, charts = _local_machine(keys, facts)
    return Overview(
        online=sum(presence_of(key, facts) == _ONLINE for key in keys),
        total=len(keys),
        query=query,
        matching=len(matching),
        rows=fleet_rows(matching[:MAX_ROWS], facts),
        spark_ms=facts.window.to_ms - facts.window.from_ms,
        machine=machine,
        machine_charts=charts,
    )


def _matches(key: DeviceKey, query: str) -> bool:
    return query.casefold() in f"{key.tenant}/{key.device}".casefold()


def _local_machine(
    keys: Sequence[DeviceKey], facts: FleetFacts
) -> tuple[DeviceKey | None, list[Chart]]:
    """Return the device of the agent on this machine, once it has something to draw."""
    for key in keys:
        charts = machine_charts(facts.latest.get(key, [])) if key.tenant == LOCAL_TENANT else []
        if charts:
            return key, charts
    return None, []
