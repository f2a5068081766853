"""A fleet of simulated devices, each with its own connection, account and boot."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import anyio
import msgspec

from devices.simulator.faults import SLOT_MS, FaultyDevice
from devices.simulator.link import Link, Login, Session, Target
from devices.simulator.outbox import Outbox
from devices.simulator.signals import Device

_READINGS_PER_PAYLOAD = 100


class FleetOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a fleet behaves; `faults` is the probability of a fault in 10 minutes of a device."""

    seed: int = 7
    interval_s: float = 2.0
    faults: float = 0.0
    truth: Path | None = None
    connects_at_once: int = 20


@dataclass(slots=True)
class FleetCounts:
    """What the fleet has done so far."""

    measured: int = 0
    delivered: int = 0
    dropped: int = 0


def _unix_ms() -> int:
    return time.time_ns() // 1_000_000


async def run_fleet(
    logins: list[Login],
    target: Target,
    options: FleetOptions,
    *,
    counts: FleetCounts | None = None,
    clock_ms: Callable[[], int] = _unix_ms,
) -> None:
    """Run all devices until cancelled. A device that is not let in keeps trying."""
    gate = anyio.CapacityLimiter(options.connects_at_once)
    counts = counts or FleetCounts()
    async with anyio.create_task_group() as group:
        for index, login in enumerate(logins):
            device = _SimulatedDevice(
                login, target, options, gate=gate, counts=counts, clock_ms=clock_ms
            )
            # Spread over the interval, so that the fleet does not speak in chorus.
            delay_s = options.interval_s * index / len(logins)
            group.start_soon(device.run, delay_s)


class _SimulatedDevice:
    """One device: measures by the clock, whether connected or not; delivers what waits."""

    def __init__(
        self,
        login: Login,
        target: Target,
        options: FleetOptions,
        *,
        gate: anyio.CapacityLimiter,
        counts: FleetCounts,
        clock_ms: Callable[[], int],
    ) -> None:
        boot = secrets.token_hex(4)
        device = Device(str(login.device.device), options.seed)
        interval_ms = round(options.interval_s * 1000)
        self._device = FaultyDevice(device, options.faults, interval_ms=interval_ms)
        self._login = login
        self._options = options
        self._outbox = Outbox(boot)
        self._link = Link(target, login, boot=boot, gate=gate)
        self._counts = counts
        self._clock_ms = clock_ms
        self._measured = anyio.Event()
        self._told_slot = -1

    async def run(self, delay_s: float) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(self._measure, delay_s)
            group.start_soon(self._link.run, self._deliver)

    async def _measure(self, delay_s: float) -> None:
        due = anyio.current_time() + delay_s
        while True:
            await anyio.sleep_until(due)
            now_ms = self._clock_ms()
            self._outbox.add(self._device.sample(now_ms), ts_ms=now_ms)
            self._counts.measured += 1
            self._measured.set()
            await self._tell_truth(now_ms)
            due = max(due + self._options.interval_s, anyio.current_time())

    async def _deliver(self, session: Session) -> None:
        while True:
            while readings := self._outbox.oldest(_READINGS_PER_PAYLOAD):
                await self._link.send(session, readings)
                self._outbox.delivered(readings[-1].seq or 0)
                self._counts.delivered += len(readings)
            await self._measured.wait()
            self._measured = anyio.Event()

    async def _tell_truth(self, now_ms: int) -> None:
        """Append the fault of this slot to the file of ground truth, when the slot begins."""
        path, slot = self._options.truth, now_ms // SLOT_MS
        if path is None or slot == self._told_slot:
            return
        self._told_slot = slot
        fault = self._device.fault_at(now_ms)
        if fault is not None and fault.to_ms > now_ms:
            line = {"tenant": self._login.device.tenant, **msgspec.to_builtins(fault)}
            await anyio.to_thread.run_sync(_append_line, path, msgspec.json.encode(line))


def _append_line(path: Path, line: bytes) -> None:
    with path.open("ab") as file:
        file.write(line + b"\n")
