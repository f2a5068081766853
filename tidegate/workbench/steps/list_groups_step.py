"""GET /api/v1/state: the groups of the state."""

from typing import Any

from tidegate import Context
from tidegate.engine.engine import Engine
from tidegate.http.request import Request
from tidegate.store.port import Store
from tidegate.workbench.own_groups import AFTER_OWN, is_own

config = {
    "type": "api",
    "name": "ListStateGroups",
    "description": "List the groups of the state.",
    "method": "GET",
    "path": "/api/v1/state",
    "middleware": ["adminMiddleware"],
    "emits": [],
    "queryParams": {
        "type": "object",
        "properties": {
            "limit": {"type": "integer", "minimum": 1, "maximum": 1000},
            "cursor": {"type": "string"},
        },
    },
}
_DEFAULT_LIMIT = 100


async def handler(request: Request, _ctx: Context, *, engine: Engine) -> dict[str, Any]:
    """Return one page with how many keys each holds; `next_cursor` is None on the last."""
    limit = request.query_params.get("limit", _DEFAULT_LIMIT)
    found = await _groups(engine.store, limit, request.query_params.get("cursor", ""))
    cursor = found[-1][0] if len(found) == limit else None
    groups = [{"group": group, "keys": count} for group, count in found]
    return {"status": 200, "body": {"groups": groups, "next_cursor": cursor}}


async def _groups(store: Store, limit: int, after: str) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    while len(found) < limit:
        wanted = limit - len(found)
        page = await store.groups(limit=wanted, after=after)
        found += [(group, count) for group, count in page if not is_own(group)]
        if len(page) < wanted:
            break
        # The runtime may have a group for each key of an owner: they are passed by at once.
        after = max(page[-1][0], AFTER_OWN) if is_own(page[-1][0]) else page[-1][0]
    return found
