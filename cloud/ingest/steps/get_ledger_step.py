"""Shows what became of every reading of a device."""

from typing import Any

import msgspec

from cloud.fleet.registry import Registry
from cloud.ingest.ledger.ledger import Ledger
from tidegate.contract import Context
from tidegate.errors import HTTPError
from tidegate.http.request import Request
from wire.errors import Malformed
from wire.ids import DeviceKey, device_id, tenant_id

config = {
    "type": "api",
    "name": "GetLedger",
    "description": "Returns a device's readings by fate, its boots and their missing sequences",
    "flows": ["ingest"],
    "method": "GET",
    "path": "/api/v1/devices/:tenant/:device/ledger",
    "middleware": ["adminMiddleware"],
    "emits": [],
}


async def handler(
    req: Request, _ctx: Context, *, ledger: Ledger, registry: Registry
) -> dict[str, Any]:
    """Answer with the account; 404 for a device that is neither registered nor ever heard."""
    try:
        key = DeviceKey(tenant_id(req.path_params["tenant"]), device_id(req.path_params["device"]))
    except Malformed as exc:
        raise HTTPError(404, "no such device") from exc
    view = await ledger.view(key)
    if not view.received and registry.get(key) is None:
        raise HTTPError(404, "no such device")
    return {"status": 200, "body": msgspec.to_builtins(view)}
