"""Sends a dead letter through ingestion again."""

from typing import Any

import msgspec

from cloud.ingest.http.replaying import Replaying
from tidegate.contract import Context
from tidegate.http.request import Request

config = {
    "type": "api",
    "name": "ReplayDeadLetter",
    "description": "Takes a dead letter's readings once more; what is refused is a new letter",
    "flows": ["ingest"],
    "method": "POST",
    "path": "/api/v1/dead-letters/:id/replay",
    "middleware": ["adminMiddleware"],
    "emits": [],
}


async def handler(req: Request, _ctx: Context, *, replaying: Replaying) -> dict[str, Any]:
    """Answer 200 with what was accepted now; 404, 409 and 422 as `Replaying.replay_letter` says."""
    accepted = await replaying.replay_letter(req.path_params["id"])
    return {"status": 200, "body": msgspec.to_builtins(accepted)}
