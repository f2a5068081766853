"""Faults of sensors as windows in time, with their ground truth. Pure.

A device's time is cut into slots; in each slot it has one fault with a given probability. Like
the signals, faults are a function of (noise, time): they can be listed for any range.
"""

import math
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Literal, get_args

import msgspec

from devices.simulator.noise import Noise
from devices.simulator.signals import Device
from wire.ids import MetricName
from wire.messages import Value

FaultKind = Literal["spike", "shift", "drift", "stuck", "dropout", "noise"]
KINDS: tuple[FaultKind, ...] = get_args(FaultKind)

SLOT_MS = 10 * 60 * 1000
_SPREAD_SAMPLES, _SPREAD_STEP_MS = 60, 2000
_RAISING = ("spike", "shift", "drift", "noise")


class Fault(msgspec.Struct, frozen=True):
    """One fault of one metric: it holds from `from_ms` up to, not including, `to_ms`.

    `size` is in the metric's unit (0 for stuck and dropout), its sign the direction.
    """

    device: str
    metric: str
    kind: FaultKind
    from_ms: int
    to_ms: int
    size: float = 0.0

    def holds(self, now_ms: int) -> bool:
        """Return whether the fault is there at this time."""
        return self.from_ms <= now_ms < self.to_ms


def broken(
    fault: Fault, now_ms: int, *, healthy: Callable[[int], float], noise: Noise
) -> float | None:
    """Return what a sensor with this fault says at a time at which it holds; None: nothing.

    `healthy(at_ms)` is what it would say without the fault.
    """
    if fault.kind == "dropout":
        return None
    if fault.kind == "stuck":
        return healthy(fault.from_ms)
    value = healthy(now_ms)
    if fault.kind == "drift":
        return value + fault.size * (now_ms - fault.from_ms) / (fault.to_ms - fault.from_ms)
    if fault.kind == "noise":
        return value + fault.size * noise.at("fault", now_ms).gauss(0, 1)
    return value + fault.size


class FaultyDevice:
    """A device that has a fault in a share `probability` of its slots of 10 minutes."""

    def __init__(self, device: Device, probability: float, *, interval_ms: int = 2000) -> None:
        self.device = device
        self._probability = probability
        self._interval_ms = interval_ms
        self._spreads: dict[str, float] = {}

    def sample(self, now_ms: int) -> dict[MetricName, Value]:
        """Return what the device says at a Unix time (ms), with its fault if it has one."""
        values = self.device.sample(now_ms)
        fault = self.fault_at(now_ms)
        if fault is None or not fault.holds(now_ms):
            return values
        metric = MetricName(fault.metric)
        said = broken(fault, now_ms, healthy=self._healthy(metric), noise=self.device.noise)
        if said is None:
            return {name: value for name, value in values.items() if name != metric}
        return {**values, metric: round(said, 3)}

    def fault_at(self, now_ms: int) -> Fault | None:
        """Return the fault of the slot around a time; it may begin later or be over."""
        slot = now_ms // SLOT_MS
        drawn = self.device.noise.at("fault slot", slot)
        if drawn.random() >= self._probability:
            return None
        kind = drawn.choice(KINDS)
        metric = drawn.choice(self._numeric())
        from_ms = slot * SLOT_MS + round(drawn.uniform(0.1, 0.5) * SLOT_MS)
        for_ms = self._interval_ms if kind == "spike" else round(drawn.uniform(60_000, 180_000))
        size = drawn.choice((-1, 1)) * drawn.uniform(10, 20) * self._spread(metric)
        return Fault(
            self.device.name,
            metric,
            kind,
            from_ms,
            from_ms + for_ms,
            round(size, 6) if kind in _RAISING else 0.0,
        )

    def truth(self, from_ms: int, to_ms: int) -> Iterator[Fault]:
        """List the faults that hold at some time in [from_ms, to_ms), in order."""
        for slot in range(from_ms // SLOT_MS, math.ceil(to_ms / SLOT_MS)):
            fault = self.fault_at(slot * SLOT_MS)
            if fault is not None and fault.from_ms < to_ms and fault.to_ms > from_ms:
                yield fault

    def _numeric(self) -> list[str]:
        return [name for name, value in self.device.sample(0).items() if isinstance(value, float)]

    def _healthy(self, metric: MetricName) -> Callable[[int], float]:
        return lambda at_ms: float(self.device.sample(at_ms)[metric])

    def _spread(self, metric: str) -> float:
        """Return the standard deviation of the metric's noise, from its differences at noon."""
        if metric not in self._spreads:
            healthy = self._healthy(MetricName(metric))
            times = range(
                43_200_000, 43_200_000 + _SPREAD_SAMPLES * _SPREAD_STEP_MS, _SPREAD_STEP_MS
            )
            values = [healthy(at_ms) for at_ms in times]
            squares = [(b - a) ** 2 for a, b in pairwise(values)]
            self._spreads[metric] = math.sqrt(sum(squares) / len(squares) / 2) or 1e-3
        return self._spreads[metric]
