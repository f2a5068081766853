"""Child processes of `tidegate up`: the edge agent of this machine and the simulated fleet.

They are what devices would run, and speak to us only over MQTT (`docs/adr/0005`). A child that
ends is started again with growing pauses; none outlives us.
"""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from random import Random

import anyio
import anyio.abc
import msgspec
import structlog

from broker import tether
from cloud.fleet.registry import Credentials
from cloud.ingest.receiving.client import BrokerAccess
from cloud.settings import Simulator
from tidegate.configuration import PREFIX
from wire.backoff import Backoff
from wire.ids import DeviceKey

_STEADY_S = 60.0
_STOP_TIMEOUT_S = 2.0

log = structlog.get_logger()


Login = tuple[DeviceKey, Credentials]


class Child(msgspec.Struct, frozen=True):
    """A Python module to run: its environment, its arguments, what it reads from stdin."""

    name: str
    module: str
    environ: dict[str, str] = {}
    arguments: list[str] = []
    stdin: bytes = b""


def agent_child(login: Login, access: BrokerAccess, *, data: Path) -> Child:
    """Return the edge agent that watches this machine with the given account."""
    device, credentials = login
    mqtt = f"{PREFIX}MQTT__"
    environ = {
        f"{PREFIX}TENANT": _literal(device.tenant),
        f"{PREFIX}DEVICE": _literal(device.device),
        f"{mqtt}HOST": _literal(access.host),
        f"{mqtt}PORT": str(access.port),
        f"{mqtt}PASSWORD": _literal(credentials.mqtt_password),
        f"{mqtt}VERSION": _literal("5" if access.mqtt5 else "3.1.1"),
    }
    return Child("agent", "edge_agent", environ, ["--data", str(data)])


def fleet_child(logins: Sequence[Login], access: BrokerAccess, settings: Simulator) -> Child:
    """Return the simulated fleet with the accounts of its devices, given to it by stdin."""
    accounts = [{**device._asdict(), **msgspec.to_builtins(account)} for device, account in logins]
    arguments = [
        *("--host", access.host),
        *("--port", str(access.port)),
        *("--seed", str(settings.seed)),
        *("--interval", str(settings.interval_s)),
        "--mqtt5" if access.mqtt5 else "--no-mqtt5",
    ]
    return Child(
        "simulator", "devices.simulator", {}, arguments, stdin=msgspec.json.encode(accounts)
    )


def _literal(text: str) -> str:
    """Write a text as TOML, so that no value can be taken for a number or a truth."""
    return json.dumps(text)


async def keep_running(child: Child) -> None:
    """Run the child until cancelled, and again whenever it ends."""
    backoff = Backoff(Random(), base_s=2.0, cap_s=60.0, floor_s=1.0)  # noqa: S311 - jitter
    while True:
        started = anyio.current_time()
        code = await _run_once(child)
        if anyio.current_time() - started > _STEADY_S:
            backoff.reset()
        pause_s = backoff.next_s()
        log.warning("child.ended", child=child.name, code=code, again_in_s=round(pause_s, 1))
        await anyio.sleep(pause_s)


async def _run_once(child: Child) -> int:
    process = await anyio.open_process(
        [*_tether(), sys.executable, "-m", child.module, *child.arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=None,
        env={**_inherited(), **child.environ},
        # A terminal's Ctrl-C is ours: the child is told to stop when we are ready for it.
        start_new_session=True,
    )
    try:
        await _give_input(process, child.stdin)
        return await process.wait()
    finally:
        await _stop(process)


async def _give_input(process: anyio.abc.Process, content: bytes) -> None:
    if process.stdin is None:
        return
    # A child that has died before it read its input says why by its end.
    with contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
        await process.stdin.send(content or b"\n")
        await process.stdin.aclose()


def _tether() -> list[str]:
    """Return the words that bind a program's life to ours, even after `kill -9` (Linux)."""
    return [sys.executable, tether.__file__, str(os.getpid())]


def _inherited() -> dict[str, str]:
    """Leave out what configures us: the same names mean other things to a child."""
    return {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}


async def _stop(process: anyio.abc.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    with anyio.move_on_after(_STOP_TIMEOUT_S, shield=True):
        await process.wait()
        return
    process.kill()
    with anyio.move_on_after(_STOP_TIMEOUT_S, shield=True):
        await process.wait()
