"""What arrived and could not be stored, with the reason and a way to try again."""

from typing import Any
from urllib.parse import urlencode

from cloud.dashboard.letters_view import letter_view
from cloud.dashboard.needs import Ledger, PageRequest
from cloud.dashboard.pages import frame_of, page
from cloud.settings import Settings
from tidegate.contract import Context

config = {
    "type": "api",
    "name": "ShowDeadLetters",
    "method": "GET",
    "path": "/dead-letters",
    "middleware": ["pageMiddleware"],
    "emits": [],
    "queryParams": {
        "type": "object",
        "properties": {"before": {"type": "integer", "minimum": 1, "maximum": 2**63 - 1}},
    },
}
_PAGE_SIZE = 50
_NOTICES = {
    "replayed": "The letter went through ingestion again; what is refused again is a new letter.",
    "busy": "The letter is going through ingestion right now.",
    "refused": "Nothing in the letter can be taken; see its reason below.",
    "gone": "There is no such letter any more.",
}


async def handler(
    req: PageRequest, ctx: Context, *, ledger: Ledger, settings: Settings
) -> dict[str, Any]:
    """Return a page of dead letters, newest first, of all devices or of one."""
    asked = req.query_params
    tenant, device = asked.get("tenant") or None, asked.get("device") or None
    letters = await ledger.dead_letters(
        tenant, device, limit=_PAGE_SIZE, before=asked.get("before")
    )
    older = {"tenant": tenant or "", "device": device or ""}
    if len(letters) == _PAGE_SIZE:
        older["before"] = str(letters[-1].id)
    return page(
        "dead_letters.html",
        frame_of(settings, ctx.now()),
        here="/dead-letters",
        notice=_NOTICES.get(asked.get("done", ""), ""),
        of="/".join(name for name in (tenant, device) if name),
        letters=[letter_view(one) for one in letters],
        next_path=f"/dead-letters?{urlencode(older)}" if "before" in older else "",
    )
