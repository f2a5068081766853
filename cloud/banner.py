"""What `tidegate up` tells a newcomer once everything runs. Pure."""

import json
from typing import NamedTuple

from wire.ids import DeviceKey
from wire.topics import topic


class Welcome(NamedTuple):
    """The facts of a running instance."""

    page: str
    username: str
    password: str
    data: str
    broker: str
    connect_hint: str


def connect_hint(host: str, port: int, device: DeviceKey, *, username: str, password: str) -> str:
    """Return a `mosquitto_pub` line that publishes one reading as the device."""
    payload = json.dumps({"values": {"temperature_c": 21.5}})
    return (
        f"mosquitto_pub -h {host} -p {port} -i {username} -u {username} -P {password} "
        f"-q 1 -t {topic(device, 'telemetry')} -m '{payload}'"
    )


def render(welcome: Welcome) -> str:
    """Return the text; its lines stay as they are so that they can be copied."""
    return f"""
Tidegate is running.

  Page     {welcome.page}
  Login    {welcome.username} / {welcome.password}
  Data     {welcome.data}
  Broker   {welcome.broker}

  Connect a device of your own:
    {welcome.connect_hint}

  More devices: tidegate device add TENANT DEVICE --data {welcome.data}
  Ctrl-C stops everything.
"""
