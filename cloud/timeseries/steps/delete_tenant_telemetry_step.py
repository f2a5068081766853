"""Deletes the telemetry of a whole tenant."""

from typing import Any

from cloud.timeseries.forgetting import Forgetting
from cloud.timeseries.port import TimeSeries, Unsupported
from tidegate.contract import Context
from tidegate.errors import HTTPError
from tidegate.http.request import Request
from wire.errors import Malformed
from wire.ids import tenant_id

config = {
    "type": "api",
    "name": "DeleteTenantTelemetry",
    "description": "Deletes what is stored of all devices of a tenant; they stay registered",
    "flows": ["timeseries"],
    "method": "DELETE",
    "path": "/api/v1/tenants/:tenant/telemetry",
    "middleware": ["adminMiddleware"],
    "emits": [],
}


async def handler(
    req: Request, _ctx: Context, *, telemetry: TimeSeries, forgetting: Forgetting
) -> dict[str, Any]:
    """Answer 202 with how many devices and series had points: nobody can read them now.

    Deleting what is not there is no error. What arrives later is stored.
    """
    try:
        tenant = tenant_id(req.path_params["tenant"])
    except Malformed as exc:
        raise HTTPError(404, "no such tenant") from exc
    found = await telemetry.latest(tenant)
    try:
        await telemetry.delete(tenant)
    except Unsupported as exc:
        raise HTTPError(501, str(exc)) from exc
    await forgetting.forget(tenant)
    devices = {one.key.device for one in found}
    body = {"tenant": tenant, "device": None, "devices": len(devices), "series": len(found)}
    return {"status": 202, "body": body}
