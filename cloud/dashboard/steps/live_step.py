"""The stream that keeps an open page up to date."""

from typing import Any

from cloud.dashboard.live import LiveHub
from cloud.dashboard.needs import PageRequest
from tidegate.contract import Context
from tidegate.errors import HTTPError
from wire.errors import Malformed
from wire.ids import DeviceKey, device_id, tenant_id

config = {
    "type": "api",
    "name": "StreamLive",
    "method": "GET",
    "path": "/live",
    "middleware": ["adminMiddleware"],
    "emits": [],
}
_HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
    "X-Content-Type-Options": "nosniff",
}


async def handler(req: PageRequest, _ctx: Context, *, live: LiveHub) -> dict[str, Any]:
    """Stream `points`, `presence` and `alert` events; `device=tenant/device` narrows them."""
    device = _device(req.query_params.get("device"))
    if live.is_full:
        raise HTTPError(503, "too many pages are open; try again later")
    return {"status": 200, "headers": dict(_HEADERS), "body": live.frames(device)}


def _device(text: str | None) -> DeviceKey | None:
    if not text:
        return None
    tenant, _, device = text.partition("/")
    try:
        return DeviceKey(tenant_id(tenant), device_id(device))
    except Malformed as exc:
        raise HTTPError(400, f"device must be tenant/device: {exc}") from exc
