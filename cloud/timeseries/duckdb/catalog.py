"""The series a store knows: their ids, and the newest point of each. In memory, no I/O."""

import numpy as np
import numpy.typing as npt

from cloud.timeseries.port import Latest
from wire.ids import DeviceId, DeviceKey, MetricName, SeriesKey, TenantId
from wire.messages import Value

NEVER_MS = np.iinfo(np.int64).min
_NOBODY = SeriesKey(TenantId(""), DeviceId(""), MetricName(""))


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

    def load(self, series: list[tuple[int, SeriesKey]], *, at_least: int) -> None:
        """Take in series with their ids, in the order of these; the next new id is `at_least`."""
        for series_id, key in series:
            self._leave_out(series_id)
            self._add(key)
        self._leave_out(at_least)

    def known(self, first_id: int, end_id: int) -> list[tuple[int, SeriesKey]]:
        """Return (id, key) of the series in a range of ids that have not been removed."""
        keys = self.keys
        return [
            (series_id, keys[series_id])
            for series_id in range(first_id, end_id)
            if self._id_of.get(keys[series_id]) == series_id
        ]

    def remove(self, ids: list[int]) -> None:
        """Remove series; one of the same name that comes later has another id."""
        self._forget(np.array(ids, np.intp))
        for series_id in ids:
            key = self.keys[series_id]
            del self._id_of[key]
            device = DeviceKey(key.tenant, key.device)
            left = [other for other in self._ids_of[device] if other != series_id]
            if left:
                self._ids_of[device] = left
            else:
                del self._ids_of[device]

    def forget_before(self, time_ms: int) -> None:
        """Forget the newest points that are before a time: nothing before it is stored."""
        self._forget(np.flatnonzero(self._newest_ms[: len(self.keys)] < time_ms))

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

    def _forget(self, ids: npt.NDArray[np.intp]) -> None:
        self._newest_ms[ids] = NEVER_MS
        self._newest_order[ids] = 0

    def _leave_out(self, until_id: int) -> None:
        """Give no series the ids up to this one: they belonged to series that were removed."""
        while len(self.keys) < until_id:
            self._number(_NOBODY)

    def _add(self, key: SeriesKey) -> int:
        series_id = self._number(key)
        self._id_of[key] = series_id
        self._ids_of.setdefault(DeviceKey(key.tenant, key.device), []).append(series_id)
        return series_id

    def _number(self, key: SeriesKey) -> int:
        series_id = len(self.keys)
        if series_id == len(self._newest_ms):
            self._newest_ms = np.append(self._newest_ms, np.full(series_id, NEVER_MS, np.int64))
            self._newest_order = np.append(self._newest_order, np.zeros(series_id, np.int64))
        self.keys.append(key)
        self._newest.append(0.0)
        return series_id
