"""What arrived and could not be stored, with the reason and a way to try again."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from cloud.dashboard.letters_view import letter_view
from cloud.dashboard.needs import Ledger, PageRequest
from cloud.dashboard.pages import frame_of, page
from cloud.settings import Settings
from tidegate.contract import Context

_COUNT = {"type": "integer", "minimum": 0, "maximum": 2**31}
config = {
    "type": "api",
    "name": "ShowDeadLetters",
    "method": "GET",
    "path": "/dead-letters",
    "middleware": ["pageMiddleware"],
    "emits": [],
    "queryParams": {
        "type": "object",
        "properties": {
            "before": {"type": "integer", "minimum": 1, "maximum": 2**63 - 1},
            "count": _COUNT,
            "refused": _COUNT,
            "left": _COUNT,
        },
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
    wanted = {name: asked.get(name) or "" for name in ("tenant", "device", "reason")}
    letters = await ledger.dead_letters(
        wanted["tenant"] or None,
        wanted["device"] or None,
        limit=_PAGE_SIZE,
        before=asked.get("before"),
        reason=wanted["reason"] or None,
    )
    older = {name: value for name, value in wanted.items() if value}
    if len(letters) == _PAGE_SIZE:
        older["before"] = str(letters[-1].id)
    return page(
        "dead_letters.html",
        frame_of(settings, ctx.now()),
        here="/dead-letters",
        notice=_notice(asked),
        wanted=wanted,
        is_narrowed=any(wanted.values()),
        dropped=ledger.letters_dropped,
        letters=[letter_view(one) for one in letters],
        next_path=f"/dead-letters?{urlencode(older)}" if "before" in older else "",
    )


def _notice(asked: Mapping[str, Any]) -> str:
    if asked.get("done") != "many":
        return _NOTICES.get(asked.get("done", ""), "")
    count, refused, left = (asked.get(name, 0) for name in ("count", "refused", "left"))
    text = f"{count:,} letters went through ingestion again; {refused:,} were refused again."
    return f"{text} {left:,} are left: press again to go on." if left else text
