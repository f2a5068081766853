"""Which devices there are and how they log in: from a JSON file, or anonymous by name."""

import os
import stat
from pathlib import Path

import msgspec

from devices.simulator.errors import BadInput
from devices.simulator.link import Login
from devices.simulator.signals import fleet_names
from wire.errors import Malformed
from wire.ids import DeviceKey, device_id, tenant_id

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class Account(msgspec.Struct, frozen=True):
    """One device as the accounts file lists it (`tidegate device add … --json` gives the rest)."""

    tenant: str
    device: str
    mqtt_username: str
    mqtt_password: str


def anonymous_logins(count: int, tenant: str) -> list[Login]:
    """Return devices for a broker that lets anybody in."""
    return [Login(_key(tenant, name)) for name in fleet_names(count)]


def read_logins(path: Path) -> list[Login]:
    """Read an accounts file: a JSON list of `Account`; only its owner may read it.

    Raises:
        BadInput: it cannot be read, others can read it, or it is no such list.
    """
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & _OTHERS:
                raise BadInput(f"{path} holds passwords but others can read it: chmod 600 {path}")
            return parse_logins(file.read())
    except OSError as exc:
        raise BadInput(f"{path}: {exc.strerror}") from exc


def parse_logins(text: bytes) -> list[Login]:
    """Parse the content of an accounts file; raise `BadInput`."""
    try:
        accounts = msgspec.json.decode(text, type=list[Account])
    except msgspec.MsgspecError as exc:
        raise BadInput(f"the accounts are not a list of accounts: {exc}") from exc
    return [
        Login(_key(account.tenant, account.device), account.mqtt_username, account.mqtt_password)
        for account in accounts
    ]


def _key(tenant: str, device: str) -> DeviceKey:
    try:
        return DeviceKey(tenant_id(tenant), device_id(device))
    except Malformed as exc:
        raise BadInput(f"{tenant}/{device}: {exc}") from exc
