"""The children of `tidegate up` end with it, however it dies."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.support.broker_clients import Client
from tests.support.servers import Mosquitto
from wire.codecs.json import decode_status

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the tie is Linux's prctl")

_START_TIMEOUT_S = 30.0
_END_TIMEOUT_S = 10.0

# What cloud/app.py does with its children, without the rest of it.
_PARENT = """
import sys
from pathlib import Path
import anyio
from cloud.children import agent_child, fleet_child, keep_running
from cloud.fleet.registry import Credentials
from cloud.ingest.receiving.client import BrokerAccess
from cloud.settings import Simulator
from wire.ids import DeviceId, DeviceKey, TenantId

tenant, port, data = sys.argv[1:]
access = BrokerAccess("127.0.0.1", int(port))
def login(name):
    device = DeviceKey(TenantId(tenant), DeviceId(name))
    return device, Credentials(f"{tenant}/{name}", "any", "any")
async def main():
    async with anyio.create_task_group() as group:
        group.start_soon(keep_running, agent_child(login("edge"), access, data=Path(data)))
        group.start_soon(keep_running, fleet_child([login("pump-01")], access, Simulator()))
anyio.run(main)
"""


@contextmanager
def _family(
    broker: Mosquitto, tenant: str, data: Path
) -> Iterator[tuple["subprocess.Popen[bytes]", list[psutil.Process]]]:
    """Run the parent; give it and its children once both are connected."""
    command = [sys.executable, "-c", _PARENT, tenant, str(broker.port), str(data)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as parent:
        children: list[psutil.Process] = []
        try:
            assert _statuses(broker, tenant, until="online") == {"edge", "pump-01"}
            children = psutil.Process(parent.pid).children(recursive=True)
            yield parent, children
        finally:
            parent.kill()
            _survivors(children, timeout_s=0)


def _survivors(
    children: list[psutil.Process], *, timeout_s: float = _END_TIMEOUT_S
) -> list[psutil.Process]:
    """Return the processes that do not end in time; they are killed then."""
    alive: list[psutil.Process] = psutil.wait_procs(children, timeout=timeout_s)[1]
    for child in alive:
        child.kill()
    return alive


def _statuses(broker: Mosquitto, tenant: str, *, until: str) -> set[str]:
    """Return which two devices said this last; fail when they do not in time."""
    said: set[str] = set()
    with Client(broker.port) as client:
        client.subscribe(f"t/{tenant}/+/status")
        while len(said) < 2:
            (message,) = client.messages(1, timeout_s=_START_TIMEOUT_S)
            if decode_status(bytes(message.payload)).state == until:
                said.add(message.topic.split("/")[2])
    return said


def test_children_end_with_a_killed_parent(
    own_mosquitto: Mosquitto, unique_name: str, tmp_path: Path
) -> None:
    """After `kill -9` of the parent agent and fleet say goodbye and end."""
    with _family(own_mosquitto, unique_name, tmp_path) as (parent, children):
        commands = sorted(child.cmdline()[2] for child in children)

        parent.kill()

        alive = _survivors(children)
        assert commands == ["devices.simulator", "edge_agent"]
        assert alive == []
        assert _statuses(own_mosquitto, unique_name, until="offline") == {"edge", "pump-01"}


def test_children_end_when_everything_is_killed(
    own_mosquitto: Mosquitto, unique_name: str, tmp_path: Path
) -> None:
    """Without a broker to say goodbye to, and with nobody to read their logs, they end too."""
    with _family(own_mosquitto, unique_name, tmp_path) as (parent, children):
        assert parent.stderr is not None
        parent.stderr.close()
        own_mosquitto.kill()

        parent.kill()

        alive = _survivors(children)
        assert len(children) == 2
        assert alive == []


def test_children_end_when_the_parent_dies_while_they_start(
    own_mosquitto: Mosquitto, unique_name: str, tmp_path: Path
) -> None:
    """A parent that dies just after it started them leaves none: not even half started."""
    command = [sys.executable, "-c", _PARENT, unique_name, str(own_mosquitto.port), str(tmp_path)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as parent:
        family = psutil.Process(parent.pid)
        deadline = time.monotonic() + _START_TIMEOUT_S
        while len(children := family.children()) < 2 and time.monotonic() < deadline:
            threading.Event().wait(0.01)

        parent.kill()

    alive = _survivors(children)
    assert len(children) == 2
    assert alive == []
