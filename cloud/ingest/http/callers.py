"""Who sends telemetry over HTTP, and what of it is known before its body is read. Pure."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from tidegate.errors import HTTPError
from wire.errors import Malformed
from wire.ids import DeviceKey, device_id, tenant_id


def device_of(user: Mapping[str, Any], asked: Mapping[str, Any]) -> DeviceKey:
    """Return whose telemetry it is: a device is itself, the administrator names one.

    Args:
        user: the caller.
        asked: the query, with `tenant` and `device`.

    Raises:
        HTTPError: 403, a device names another; 400, nobody is named, or by what is no name.
    """
    if "tenant" in user and "device" in user:
        if any(asked.get(name, user[name]) != user[name] for name in ("tenant", "device")):
            raise HTTPError(403, "a device's token writes only as that device")
        names: Mapping[str, Any] = user
    elif "tenant" in asked and "device" in asked:
        names = asked
    else:
        raise HTTPError(400, "name the device: ?tenant=…&device=…")
    try:
        return DeviceKey(tenant_id(names["tenant"]), device_id(names["device"]))
    except Malformed as exc:
        raise HTTPError(400, str(exc)) from exc


def password_of(authorization: str) -> str:
    """Return the password of `Basic x`, else '': InfluxDB's clients put a token there."""
    scheme, _, coded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        pair = base64.b64decode(coded.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
    return pair.partition(":")[2]
