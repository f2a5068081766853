"""Lists the messages that could not be stored, with the reason of each."""

import base64
from typing import Any

from cloud.ingest.http.letters_asked import PROPERTIES
from cloud.ingest.ledger.accounts import Letter
from cloud.ingest.ledger.ledger import Ledger
from tidegate.contract import Context
from tidegate.http.request import Request

_DEFAULT_LIMIT = 100

config = {
    "type": "api",
    "name": "ListDeadLetters",
    "description": "Returns dead letters, newest first",
    "flows": ["ingest"],
    "method": "GET",
    "path": "/api/v1/dead-letters",
    "middleware": ["adminMiddleware"],
    "emits": [],
    "queryParams": {
        "type": "object",
        "properties": {**PROPERTIES},
    },
}


async def handler(req: Request, _ctx: Context, *, ledger: Ledger) -> dict[str, Any]:
    """Answer with one page; `next_cursor` is null on the last one.

    `reason` is a text that the reason contains; `dropped` letters had to make room so far.
    """
    asked = req.query_params
    limit = asked.get("limit", _DEFAULT_LIMIT)
    found = await ledger.dead_letters(
        asked.get("tenant"),
        asked.get("device"),
        limit=limit + 1,
        before=asked.get("cursor"),
        reason=asked.get("reason"),
    )
    page = found[:limit]
    next_cursor = str(page[-1].id) if len(found) > limit else None
    body = {
        "dead_letters": [_shown(letter) for letter in page],
        "next_cursor": next_cursor,
        "dropped": ledger.letters_dropped,
    }
    return {"status": 200, "body": body}


def _shown(letter: Letter) -> dict[str, Any]:
    tenant, device = letter.device or (None, None)
    shown: dict[str, Any] = {
        "id": letter.id,
        "tenant": tenant,
        "device": device,
        "topic": letter.topic,
        "reason": letter.reason,
        "readings": letter.readings,
        "is_shortened": letter.is_shortened,
        "received_at_ms": letter.received_at_ms,
    }
    try:
        shown["payload"] = letter.payload.decode()
    except UnicodeDecodeError:
        shown["payload_base64"] = base64.b64encode(letter.payload).decode()
    return shown
