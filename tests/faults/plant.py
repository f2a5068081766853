"""Broker, proxies, ingester and devices as one plant whose parts a test makes fail."""

import json
import os
import resource
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import PIPE, STDOUT

import anyio
import anyio.abc
import anyio.to_thread
import msgspec
from anyio.streams.text import TextReceiveStream
from paho.mqtt import publish

from cloud.ingest.ledger.file import LedgerFile
from tests.faults.account import Account, account_of
from tests.faults.ingester import READY, Config
from tests.faults.publisher import Orders, Outcome
from tests.support.proxy import Proxy
from tests.support.servers import Mosquitto
from wire.ids import DeviceKey, device_id, tenant_id

_START_S = 60.0
_STOP_S = 20.0
_TICK_S = 0.05
_IDLE_TICKS = 20
# Among the ledger's totals: what is in the spool, and not yet in the store.
_SPOOLED = 4
_MARKER = DeviceKey(tenant_id("faults"), device_id("marker"))
_MARKER_S = 15.0


class Ingester:
    """The ingester's process; what it says is in `ingester.log`."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.folder = Path(config.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._log, self._ready = self.folder / "ingester.log", self.folder / READY
        self._process: anyio.abc.Process | None = None

    async def start(self) -> None:
        """Start it and wait until the broker delivers to it."""
        await self.spawn()
        with anyio.move_on_after(_START_S):
            while not self._ready.exists():
                self.check_alive()
                await anyio.sleep(_TICK_S)
            return
        raise AssertionError(f"the ingester is not ready: {self._said()[-3_000:]}")

    async def spawn(self) -> None:
        """Start it."""
        self._ready.unlink(missing_ok=True)
        text = json.dumps(msgspec.to_builtins(self.config))
        with self._log.open("ab") as log:
            self._process = await anyio.open_process(
                [sys.executable, "-m", "tests.faults.ingester", text], stdout=log, stderr=STDOUT
            )

    def check_alive(self) -> None:
        """Fail with the end of its log when it has ended by itself."""
        if self._process is not None and self._process.returncode is not None:
            raise AssertionError(f"the ingester ended: {self._said()[-3_000:]}")

    def has_said(self, text: str) -> bool:
        """Tell whether a text is in its log: that a fault was noticed at all."""
        return text in self._said()

    def signal(self, number: int) -> None:
        """Send a signal, such as SIGSTOP."""
        assert self._process is not None
        self._process.send_signal(signal.Signals(number))

    async def kill(self) -> None:
        """Kill it (SIGKILL) and wait for its end."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> None:
        """Stop it (SIGTERM), by SIGKILL when it does not end in time."""
        self.check_alive()
        await self._end(signal.SIGTERM)

    async def aclose(self) -> None:
        """End it, whatever state it is in."""
        if self._process is not None and self._process.returncode is None:
            await self._end(signal.SIGKILL)

    def limit_file_size(self, size_bytes: int) -> None:
        """Let it write no file beyond a size, as on a full disk; -1 takes the limit back."""
        assert self._process is not None
        hard = resource.RLIM_INFINITY
        limit = hard if size_bytes < 0 else size_bytes
        resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, (limit, hard))

    def memory_mb(self) -> float:
        """Return what it holds of the machine's memory."""
        assert self._process is not None
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def switch(self, name: str, *, on: bool, text: str = "") -> None:
        """Set or take back one of the faults that are files (`tests.faults.ingester`)."""
        path = self.folder / name
        if on:
            path.write_text(text)
        else:
            path.unlink(missing_ok=True)

    async def _end(self, number: int) -> None:
        assert self._process is not None
        with anyio.CancelScope(shield=True):
            self._process.send_signal(signal.Signals(number))
            with anyio.move_on_after(_STOP_S) as waiting:
                await self._process.wait()
            if waiting.cancelled_caught:
                self._process.kill()
                await self._process.wait()
            self._process = None

    def _said(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""


@dataclass
class Plant:
    """Everything that can fail, and the progress of the devices by which faults are timed."""

    broker: Mosquitto
    ingester: Ingester
    devices_leg: Proxy
    ingester_leg: Proxy
    orders: Orders
    done: int = 0
    outcome: Outcome | None = None
    finished: anyio.Event = field(default_factory=anyio.Event)
    _markers: int = 0

    async def reached(self, share: float) -> None:
        """Wait until this share of all readings is acknowledged end to end, or all is over."""
        while self.done < share * self.orders.messages and not self.finished.is_set():
            self.ingester.check_alive()
            await anyio.sleep(_TICK_S)

    async def restart_broker(self, stop: Callable[[], None]) -> None:
        """Stop or kill the broker and start it again at once."""
        await anyio.to_thread.run_sync(stop)
        await anyio.to_thread.run_sync(self.broker.start)

    async def settled(self) -> None:
        """Wait until nothing is on its way any more.

        A session is a queue: when a message that was published now is stored, all before it are;
        what was in flight when a connection ended comes first on the next one.
        """
        book = LedgerFile(self.ingester.folder / "ingest.db")
        try:
            while not await self._has_passed(book):
                self.ingester.check_alive()
            before, same = book.totals(), 0
            while same < _IDLE_TICKS:
                await anyio.sleep(_TICK_S)
                now = book.totals()
                same = same + 1 if now == before and not now[_SPOOLED] else 0
                before = now
        finally:
            book.close()

    async def _has_passed(self, book: LedgerFile) -> bool:
        """Publish a marker; return whether it was stored within a few seconds."""
        self._markers += 1
        first_ts_ms, seq = self.orders.first_ts_ms, self._markers
        await anyio.to_thread.run_sync(_publish_marker, self.broker.port, seq, first_ts_ms + seq)
        with anyio.move_on_after(_MARKER_S):
            while all(boot.last < self._markers for boot in book.boots(_MARKER)):  # noqa: ASYNC110 - in a file
                await anyio.sleep(_TICK_S)
            return True
        return False


def _publish_marker(port: int, seq: int, ts_ms: int) -> None:
    payload = f'{{"boot":"m","seq":{seq},"ts":{ts_ms},"values":{{"m":1}}}}'
    publish.single("t/faults/marker/telemetry", payload, qos=1, hostname="127.0.0.1", port=port)


Faults = Callable[[Plant], Awaitable[None]]
Show = Callable[[], None]


@asynccontextmanager
async def plant(
    broker: Mosquitto,
    folder: Path,
    orders: Orders,
    config: Config | None = None,
    *,
    kind: type[Ingester] = Ingester,
) -> AsyncIterator[Plant]:
    """Run a plant whose devices have not begun yet; its ingester is of a `kind`."""
    async with Proxy(broker.port) as devices_leg, Proxy(broker.port) as ingester_leg:
        plain = config or Config(0, str(folder / "ingester"))
        config = msgspec.structs.replace(plain, port=ingester_leg.port)
        ingester = kind(config)
        orders = msgspec.structs.replace(orders, port=devices_leg.port)
        try:
            await ingester.start()
            yield Plant(broker, ingester, devices_leg, ingester_leg, orders)
        finally:
            await ingester.aclose()


async def publish_all(running: Plant) -> None:
    """Let the devices publish everything; `outcome` is there when they are done."""
    text = json.dumps(msgspec.to_builtins(running.orders))
    command = [sys.executable, "-m", "tests.faults.publisher", text]
    async with await anyio.open_process(command, stdout=PIPE, stderr=None) as process:
        try:
            assert process.stdout is not None
            said = ""
            async for chunk in TextReceiveStream(process.stdout):
                *lines, said = (said + chunk).split("\n")
                for line in lines:
                    _hear(running, line)
        finally:
            if process.returncode is None:
                process.kill()
            running.finished.set()


def _hear(running: Plant, line: str) -> None:
    if line.startswith("acked "):
        running.done = int(line.split()[1])
    elif line:
        running.outcome = msgspec.json.decode(line, type=Outcome)


async def survive(
    running: Plant, faults: Faults, *, within_s: float, show: Show | None = None
) -> Account:
    """Publish everything while the faults happen; count what became of it.

    The faults may go on after the devices are done; they leave the plant whole. `show` makes a
    store show everything that it has, which some do only after a while.
    """
    with anyio.fail_after(within_s):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(publish_all, running)
            await faults(running)
        await running.settled()
        await running.ingester.stop()
    if show is not None:
        await anyio.to_thread.run_sync(show)
    assert running.outcome is not None, "the devices did not end as they should"
    return await account_of(
        running.ingester.folder, running.ingester.config.store, running.orders, running.outcome
    )
