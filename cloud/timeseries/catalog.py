"""The series a store knows: their ids, and the newest point of each. In memory, no I/O."""

import numpy as np
import numpy.typing as npt

from cloud.timeseries.port import Latest
from wire.ids import DeviceId, DeviceKey, SeriesKey, TenantId
from wire.messages import Value

NEVER_MS = np.iinfo(np.int64).min


class Catalog:
    """Numbers series from 0 and remembers the newest point of each."""

    def __init__(self) -> None:
        self.keys: list[SeriesKey] = []
        self._id_of: dict[SeriesKey, int] = {}
        self._ids_of: dict[DeviceKey, list[int]] = {}
        self._newest_ms: npt.NDArray[np.int64] = np.full(1_024, NEVER_MS, np.int64)
        self._newest_order: npt.NDArray[np.int64] = np.zeros(1_024, np.int64)
        self._newest: list[Value] = []

    def ids(self, series: list[SeriesKey]) -> npt.NDArray[np.int32]:
        """Return each series' id; series not seen before are added."""
        known = self._id_of
        try:
            found = [known[key] for key in series]
        except KeyError:
            found = [known[key] if key in known else self._add(key) for key in series]
        return np.array(found, np.int32)

    def after_newest(
        self,
        ids: npt.NDArray[np.int32],
        times_ms: npt.NDArray[np.int64],
        orders: npt.NDArray[np.int64],
    ) -> npt.NDArray[np.bool_]:
        """Return for each point whether it comes after its series' newest: it is not stored."""
        newest_ms = self._newest_ms[ids]
        after: npt.NDArray[np.bool_] = times_ms > newest_ms
        after |= (times_ms == newest_ms) & (orders > self._newest_order[ids])
        return after

    def note(
        self,
        ids: npt.NDArray[np.int32],
        times_ms: npt.NDArray[np.int64],
        orders: npt.NDArray[np.int64],
        values: list[Value],
    ) -> None:
        """Take stored points in, one a series; one as new as the newest replaces it."""
        is_same = (times_ms == self._newest_ms[ids]) & (orders == self._newest_order[ids])
        newer = is_same | self.after_newest(ids, times_ms, orders)
        self._newest_ms[ids[newer]] = times_ms[newer]
        self._newest_order[ids[newer]] = orders[newer]
        for series_id, value, is_newer in zip(ids.tolist(), values, newer.tolist(), strict=True):
            if is_newer:
                self._newest[series_id] = value

    def forget(self, ids: list[int]) -> None:
        """Forget the newest points of these series: nothing of them is stored any more."""
        self._newest_ms[ids] = NEVER_MS
        self._newest_order[ids] = 0

    def matching(
        self, tenant: str | None, device: str | None, metric: str | None
    ) -> list[tuple[SeriesKey, int]]:
        """Return (key, id) of the series that match, ordered by key; None matches all."""
        keys = self.keys
        return sorted(
            (keys[series_id], series_id)
            for ids in self._ids_by_device(tenant, device)
            for series_id in list(ids)
            if metric is None or keys[series_id].metric == metric
        )

    def latest(self, tenant: str | None, device: str | None) -> list[Latest]:
        """Return the newest point of each series that has one, ordered by key."""
        return [
            Latest(key, int(self._newest_ms[series_id]), self._newest[series_id])
            for key, series_id in self.matching(tenant, device, None)
            if self._newest_ms[series_id] != NEVER_MS
        ]

    def _ids_by_device(self, tenant: str | None, device: str | None) -> list[list[int]]:
        """Return the ids of each device that matches. Others may add devices meanwhile."""
        if tenant is not None and device is not None:
            ids = self._ids_of.get(DeviceKey(TenantId(tenant), DeviceId(device)))
            return [] if ids is None else [ids]
        return [
            ids
            for key, ids in list(self._ids_of.items())
            if tenant in (None, key.tenant) and device in (None, key.device)
        ]

    def _add(self, key: SeriesKey) -> int:
        series_id = len(self.keys)
        if series_id == len(self._newest_ms):
            self._newest_ms = np.append(self._newest_ms, np.full(series_id, NEVER_MS, np.int64))
            self._newest_order = np.append(self._newest_order, np.zeros(series_id, np.int64))
        self.keys.append(key)
        self._newest.append(0.0)
        self._id_of[key] = series_id
        self._ids_of.setdefault(DeviceKey(key.tenant, key.device), []).append(series_id)
        return series_id
