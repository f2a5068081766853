"""What makes a first start worth looking at: this machine, a simulated fleet, a line to copy."""

import socket
import subprocess
import sys
from collections.abc import Iterator

import msgspec

from cloud.banner import connect_hint
from cloud.brokers import Connection
from cloud.children import Child, agent_child, fleet_child
from cloud.data_folder import DataFolder
from cloud.fleet.registry import Credentials, Registry
from cloud.settings import Simulator
from wire.errors import Malformed
from wire.ids import DeviceId, DeviceKey, TenantId, device_id

LOCAL = TenantId("local")
FLEET = TenantId("demo")
FIRST_DEVICE = DeviceKey(LOCAL, DeviceId("my-device"))
_FIRST_DEVICE_FILE = "my-device"
_NAMES_TIMEOUT_S = 20.0


def children_of(
    connection: Connection,
    registry: Registry,
    folder: DataFolder,
    *,
    agent: bool,
    simulator: Simulator | None,
) -> Iterator[Child]:
    """Return the children that were asked for, each with accounts made for this run.

    An external broker has accounts of its own, which we do not know: then there are none.
    """
    if connection.own is None:
        return
    host, port = connection.access.host, connection.access.port
    if agent:
        machine = this_machine()
        yield agent_child(machine, registry.add(machine), host=host, port=port, data=folder.agent)
    if simulator is not None and simulator.devices:
        devices = [DeviceKey(FLEET, name) for name in _fleet_names(simulator.devices)]
        logins = [(device, registry.add(device)) for device in devices]
        yield fleet_child(logins, simulator, host=host, port=port)


def this_machine() -> DeviceKey:
    """Return the device that this machine is."""
    try:
        return DeviceKey(LOCAL, device_id(socket.gethostname()))
    except Malformed:
        return DeviceKey(LOCAL, DeviceId("this-machine"))


def first_hint(connection: Connection, registry: Registry, folder: DataFolder) -> str:
    """Return a line that connects a device of one's own: it works as printed."""
    if connection.own is None:
        return f"publish to t/TENANT/DEVICE/telemetry at {connection.name}"
    credentials = _first_device(registry, folder)
    return connect_hint(
        connection.access.host,
        connection.access.port,
        FIRST_DEVICE,
        username=credentials.mqtt_username,
        password=credentials.mqtt_password,
    )


def _first_device(registry: Registry, folder: DataFolder) -> Credentials:
    """Return the first device's credentials, made at the first start and kept."""
    kept = folder.remembered(_FIRST_DEVICE_FILE)
    if kept is not None and registry.get(FIRST_DEVICE) is not None:
        return msgspec.convert(kept, Credentials)
    credentials = registry.add(FIRST_DEVICE)
    folder.remember(_FIRST_DEVICE_FILE, msgspec.to_builtins(credentials))
    return credentials


def _fleet_names(count: int) -> list[DeviceId]:
    """Ask the simulator how its devices are called: the cloud does not import it."""
    command = [sys.executable, "-m", "devices.simulator", "--names", str(count)]
    answer = subprocess.run(command, check=True, capture_output=True, timeout=_NAMES_TIMEOUT_S)  # noqa: S603 - ourselves
    return [DeviceId(name) for name in msgspec.json.decode(answer.stdout, type=list[str])]
