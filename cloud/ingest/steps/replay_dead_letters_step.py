"""Sends many dead letters through ingestion again."""

from typing import Any

import msgspec

from cloud.ingest.http.letters_asked import PROPERTIES
from cloud.ingest.http.replaying import Replaying
from tidegate.contract import Context
from tidegate.http.request import Request

_DEFAULT_LIMIT = 200

config = {
    "type": "api",
    "name": "ReplayDeadLetters",
    "description": "Takes the readings of many dead letters once more, newest first, in pages",
    "flows": ["ingest"],
    "method": "POST",
    "path": "/api/v1/dead-letters/replay",
    "middleware": ["adminMiddleware"],
    "emits": [],
    "bodySchema": {
        "type": "object",
        "properties": {**PROPERTIES},
        "additionalProperties": False,
    },
}


async def handler(req: Request, _ctx: Context, *, replaying: Replaying) -> dict[str, Any]:
    """Answer 200 with the sums and `next_cursor`; 503 when not even one could be taken."""
    asked = req.body
    done = await replaying.replay_letters(
        tenant=asked.get("tenant"),
        device=asked.get("device"),
        reason=asked.get("reason"),
        limit=asked.get("limit", _DEFAULT_LIMIT),
        before=asked.get("cursor"),
    )
    return {"status": 200, "body": msgspec.to_builtins(done)}
