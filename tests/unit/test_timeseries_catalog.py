"""The catalog of series: what matches, and that one device costs nothing of the others."""

import time

import numpy as np
import pytest

from cloud.timeseries.duckdb.catalog import Catalog
from wire.ids import DeviceId, MetricName, SeriesKey, TenantId


def _key(tenant: str, device: str, metric: str) -> SeriesKey:
    return SeriesKey(TenantId(tenant), DeviceId(device), MetricName(metric))


_KEYS = [
    _key("b", "pump", "t"),
    _key("a", "pump", "u"),
    _key("a", "pump", "t"),
    _key("a", "fan", "t"),
]


@pytest.mark.parametrize("tenant", [None, "a", "b", "c"])
@pytest.mark.parametrize("device", [None, "pump", "fan", "x"])
@pytest.mark.parametrize("metric", [None, "t", "u", "v"])
def test_catalog_finds_what_matches(
    tenant: str | None, device: str | None, metric: str | None
) -> None:
    """Whatever is named must be equal, the rest may be anything; in the order of keys."""
    catalog = Catalog()
    catalog.ids(_KEYS)
    catalog.ids(_KEYS[:2])

    found = catalog.matching(tenant, device, metric)

    assert found == sorted(
        (key, series_id)
        for series_id, key in enumerate(_KEYS)
        if tenant in (None, key.tenant)
        and device in (None, key.device)
        and metric in (None, key.metric)
    )


def test_catalog_latest_of_one_device_does_not_grow_with_the_fleet() -> None:
    """The event loop asks for it: 20,000 other series must not show."""
    catalog = Catalog()
    ids = catalog.ids([_key("a", f"d{number}", "t") for number in range(20_000)])
    ones = np.ones(len(ids), np.int64)
    catalog.note(ids, ones, ones, [1.0] * len(ids))

    took_s = []
    for _ in range(10):
        began_s = time.perf_counter()
        latest = catalog.latest("a", "d19999")
        took_s.append(time.perf_counter() - began_s)

    assert [one.key.device for one in latest] == ["d19999"]
    assert min(took_s) < 0.001
