"""Shows the alerts: firing, and resolved ones of the last week."""

from typing import Any

import msgspec

from cloud.alerts import register
from tidegate.contract import Context
from tidegate.errors import HTTPError
from tidegate.http.request import Request
from wire.records import ALERTS

config = {
    "type": "api",
    "name": "ListAlerts",
    "description": "Returns alerts, firing ones first and the newest first",
    "flows": ["alerts"],
    "method": "GET",
    "path": "/api/v1/alerts",
    "middleware": ["adminMiddleware"],
    "emits": [],
}

_STATUSES = ("firing", "resolved")


async def handler(req: Request, ctx: Context) -> dict[str, Any]:
    """Answer with all alerts, or those of `?status=`, `?tenant=`, `?device=`."""
    wanted = {
        name: req.query_params[name]
        for name in ("status", "tenant", "device")
        if name in req.query_params
    }
    if wanted.get("status", "firing") not in _STATUSES:
        raise HTTPError(422, f"status must be one of {', '.join(_STATUSES)}")
    alerts = register.as_alerts(await ctx.state.get_group(ALERTS))
    found = [
        alert
        for alert in register.listed(alerts)
        if all(getattr(alert, name) == value for name, value in wanted.items())
    ]
    return {"status": 200, "body": {"alerts": msgspec.to_builtins(found)}}
