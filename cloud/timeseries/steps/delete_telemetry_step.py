"""Deletes the telemetry of one device."""

from typing import Any

from cloud.timeseries.forgetting import Forgetting
from cloud.timeseries.port import TimeSeries, Unsupported
from tidegate.contract import Context
from tidegate.errors import HTTPError
from tidegate.http.request import Request
from wire.errors import Malformed
from wire.ids import device_id, tenant_id

config = {
    "type": "api",
    "name": "DeleteTelemetry",
    "description": "Deletes what is stored of a device; it stays registered, its readings counted",
    "flows": ["timeseries"],
    "method": "DELETE",
    "path": "/api/v1/devices/:tenant/:device/telemetry",
    "middleware": ["adminMiddleware"],
    "emits": [],
}


async def handler(
    req: Request, _ctx: Context, *, telemetry: TimeSeries, forgetting: Forgetting
) -> dict[str, Any]:
    """Answer 202 with how many series had points: nobody can read them now.

    Deleting what is not there is no error. What arrives later is stored.
    """
    try:
        tenant = tenant_id(req.path_params["tenant"])
        device = device_id(req.path_params["device"])
    except Malformed as exc:
        raise HTTPError(404, "no such device") from exc
    found = await telemetry.latest(tenant, device)
    try:
        await telemetry.delete(tenant, device)
    except Unsupported as exc:
        raise HTTPError(501, str(exc)) from exc
    await forgetting.forget(tenant, device)
    body = {"tenant": tenant, "device": device, "devices": int(bool(found)), "series": len(found)}
    return {"status": 202, "body": body}
