"""What makes a first start worth looking at: this machine, a simulated fleet, a line to copy."""

import socket
import subprocess
import sys
from typing import NamedTuple

import msgspec

from cloud.banner import connect_hint
from cloud.brokers import parse_url, reachable
from cloud.children import Child, Login, agent_child, fleet_child
from cloud.data_folder import DataFolder
from cloud.fleet.registry import Credentials, Registry
from cloud.ingest.receiving.client import BrokerAccess
from cloud.settings import Settings
from wire.errors import Malformed
from wire.ids import LOCAL_TENANT, DeviceId, DeviceKey, TenantId, device_id

FLEET = TenantId("demo")
FIRST_DEVICE = DeviceKey(LOCAL_TENANT, DeviceId("my-device"))
_FIRST_DEVICE_FILE = "my-device"
_NAMES_TIMEOUT_S = 20.0


class Logins(NamedTuple):
    """Accounts made for this run: this machine's and the simulated fleet's."""

    agent: list[Login]
    fleet: list[Login]


def make_logins(settings: Settings, registry: Registry, *, agent: bool, simulator: bool) -> Logins:
    """Make an account for each device that a child will be.

    Call it before the broker starts, so that it knows them from its first moment. An external
    broker has accounts of its own, which we do not know: then there are none.
    """
    external = settings.broker.url is not None
    count = 0 if external or not simulator else settings.simulator.devices
    machines = [] if external or not agent else [this_machine()]
    fleet = [DeviceKey(FLEET, name) for name in _fleet_names(count)] if count else []
    return Logins(
        [(device, registry.add(device)) for device in machines],
        [(device, registry.add(device)) for device in fleet],
    )


def children_of(
    logins: Logins, access: BrokerAccess, settings: Settings, folder: DataFolder
) -> list[Child]:
    """Return the children to run beside the platform: one per kind of account."""
    children = [agent_child(login, access, data=folder.agent) for login in logins.agent]
    if logins.fleet:
        children.append(fleet_child(logins.fleet, access, settings.simulator))
    return children


def this_machine() -> DeviceKey:
    """Return the device that this machine is."""
    try:
        return DeviceKey(LOCAL_TENANT, device_id(socket.gethostname()))
    except Malformed:
        return DeviceKey(LOCAL_TENANT, DeviceId("this-machine"))


def first_hint(settings: Settings, registry: Registry, folder: DataFolder) -> str:
    """Return a line that connects a device of one's own: it works as printed."""
    if settings.broker.url is not None:
        access = parse_url(settings.broker.url)
        return f"publish to t/TENANT/DEVICE/telemetry at {access.host}:{access.port}"
    credentials = _first_device(registry, folder)
    return connect_hint(
        reachable(settings.broker.host),
        settings.broker.port,
        FIRST_DEVICE,
        username=credentials.mqtt_username,
        password=credentials.mqtt_password,
    )


def _first_device(registry: Registry, folder: DataFolder) -> Credentials:
    """Return the first device's credentials, made at the first start and kept."""
    kept = folder.remembered(_FIRST_DEVICE_FILE)
    known = {d.device for d in registry.devices(LOCAL_TENANT)}
    if kept is not None and FIRST_DEVICE.device in known:
        return msgspec.convert(kept, Credentials)
    credentials = registry.add(FIRST_DEVICE)
    folder.remember(_FIRST_DEVICE_FILE, msgspec.to_builtins(credentials))
    return credentials


def _fleet_names(count: int) -> list[DeviceId]:
    """Ask the simulator how its devices are called: the cloud does not import it."""
    command = [sys.executable, "-m", "devices.simulator", "--names", str(count)]
    answer = subprocess.run(command, check=True, capture_output=True, timeout=_NAMES_TIMEOUT_S)  # noqa: S603 - ourselves
    return [DeviceId(name) for name in msgspec.json.decode(answer.stdout, type=list[str])]
