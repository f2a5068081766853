"""Lists the devices and whether they are there."""

from typing import Any

from cloud.fleet.presence import Presence
from cloud.fleet.registry import Registry
from tidegate.contract import Context
from tidegate.http.request import Request
from wire.ids import DeviceId, DeviceKey, TenantId

config = {
    "type": "api",
    "name": "ListDevices",
    "description": "Returns all devices, or one tenant's, with their presence",
    "flows": ["fleet"],
    "method": "GET",
    "path": "/api/v1/devices",
    "middleware": ["adminMiddleware"],
    "emits": [],
    "queryParams": {"type": "object", "properties": {"tenant": {"type": "string"}}},
}


async def handler(
    req: Request, _ctx: Context, *, registry: Registry, presence: Presence
) -> dict[str, Any]:
    """Answer with the devices, ordered by name; times in Unix ms, null where unknown."""
    devices = []
    for device in registry.devices(req.query_params.get("tenant")):
        seen = presence.of(DeviceKey(TenantId(device.tenant), DeviceId(device.device)))
        devices.append(
            {
                "tenant": device.tenant,
                "device": device.device,
                "created_at_ms": device.created_at_ms,
                "last_heard_ms": seen.last_heard_ms,
                "online": seen.online,
            }
        )
    return {"status": 200, "body": {"devices": devices}}
