"""The machine as a source: processors, memory, disk, network, temperatures, through psutil."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import psutil

from wire.messages import Value

# Traffic of these is counted a second time on the interface that carries it, or never leaves.
_INNER_INTERFACES = ("lo", "veth", "docker", "br-", "virbr", "cni", "flannel")
_NOT_IN_NAMES = re.compile(r"[^a-z0-9]+")


class CpuTime(NamedTuple):
    """Seconds since the machine started, of one or all cores."""

    busy_s: float
    total_s: float


class HostSource:
    """Metrics `cpu_*`, `load_1m`, `memory_*`, `swap_*`, `disk_*`, `network_*`, ...

    Rates and processor use are those between two reads; the first read is without them.
    """

    name = "host"

    def __init__(self, interval_s: float, *, disk: Path, per_core: bool = False) -> None:
        self.interval_s = interval_s
        self._disk = str(disk)
        self._per_core = per_core
        self._cpu: dict[str, CpuTime] = {}
        self._counters: dict[str, float] = {}
        self._counted_s = 0.0

    def read(self, now_s: float) -> dict[str, Value]:
        """Return what the kernel says now; `now_s` is monotonic seconds."""
        values: dict[str, Value] = {}
        values.update(self._cpu_use())
        values.update(_memory())
        values["load_1m"] = os.getloadavg()[0]
        values["disk_used_pct"] = float(psutil.disk_usage(self._disk).percent)
        values.update(self._rates(now_s))
        values.update(_temperatures())
        return values

    def _cpu_use(self) -> dict[str, float]:
        times = {"cpu_used_pct": _cpu_time(psutil.cpu_times())}
        if self._per_core:
            cores = enumerate(psutil.cpu_times(percpu=True))
            times.update({f"cpu_{core}_used_pct": _cpu_time(raw) for core, raw in cores})
        before, self._cpu = self._cpu, times
        return {
            name: busy_pct(before[name], after) for name, after in times.items() if name in before
        }

    def _rates(self, now_s: float) -> dict[str, float]:
        counters = dict(_counters())
        before, self._counters = self._counters, counters
        elapsed_s, self._counted_s = now_s - self._counted_s, now_s
        return rates_per_s(before, counters, elapsed_s)


def busy_pct(before: CpuTime, after: CpuTime) -> float:
    """Return the share of busy time between two moments, 0 to 100."""
    total_s = after.total_s - before.total_s
    if total_s <= 0:
        return 0.0
    return round(min(100.0, max(0.0, 100 * (after.busy_s - before.busy_s) / total_s)), 2)


def rates_per_s(
    before: Mapping[str, float], after: Mapping[str, float], elapsed_s: float
) -> dict[str, float]:
    """Return each counter's rate; without those that are new or were set back."""
    if elapsed_s <= 0:
        return {}
    return {
        name: round((count - before[name]) / elapsed_s, 1)
        for name, count in after.items()
        if name in before and count >= before[name]
    }


def _cpu_time(raw: object) -> CpuTime:
    fields = raw._asdict()  # type: ignore[attr-defined]  # psutil's named tuples differ by platform
    # Linux counts guest time into user and nice as well.
    total_s = sum(fields.values()) - fields.get("guest", 0.0) - fields.get("guest_nice", 0.0)
    return CpuTime(total_s - fields["idle"] - fields.get("iowait", 0.0), total_s)


def _memory() -> dict[str, float]:
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    return {
        "memory_used_pct": float(memory.percent),
        "memory_available_bytes": float(memory.available),
        "swap_used_pct": float(swap.percent),
    }


def _counters() -> Iterator[tuple[str, float]]:
    disk = psutil.disk_io_counters()
    if disk is not None:
        yield "disk_read_bytes_per_s", float(disk.read_bytes)
        yield "disk_written_bytes_per_s", float(disk.write_bytes)
    interfaces = psutil.net_io_counters(pernic=True)
    outer = [io for name, io in interfaces.items() if not name.startswith(_INNER_INTERFACES)]
    if outer:
        yield "network_received_bytes_per_s", float(sum(io.bytes_recv for io in outer))
        yield "network_sent_bytes_per_s", float(sum(io.bytes_sent for io in outer))


def _temperatures() -> Iterator[tuple[str, float]]:
    # Absent on platforms whose kernel has no sensors that psutil knows.
    read = getattr(psutil, "sensors_temperatures", dict)
    for chip, sensors in read().items():
        for index, sensor in enumerate(sensors):
            if sensor.current is not None:
                label = sensor.label or (str(index) if len(sensors) > 1 else "")
                yield f"temperature_{_slug(f'{chip} {label}')}_c", float(sensor.current)


def _slug(text: str) -> str:
    return _NOT_IN_NAMES.sub("_", text.lower()).strip("_")
