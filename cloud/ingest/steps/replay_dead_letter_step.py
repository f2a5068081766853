"""Sends a dead letter through ingestion again."""

from typing import Any

import msgspec

from cloud.ingest.gateway import Gateway
from cloud.ingest.ledger import Ledger
from tidegate.contract import Context
from tidegate.errors import HTTPError
from tidegate.http.request import Request
from wire.errors import Malformed

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


async def handler(
    req: Request, _ctx: Context, *, gateway: Gateway, ledger: Ledger
) -> dict[str, Any]:
    """Answer 200 with what was accepted now, 404 for no such letter, 422 when refused again."""
    name = req.path_params["id"]
    number = int(name) if name.isascii() and name.isdigit() and len(name) < len(str(2**63)) else 0
    letter = await ledger.letter(number)
    if letter is None:
        raise HTTPError(404, "no such dead letter")
    if not letter.readings:
        raise HTTPError(422, "this letter holds no reading: it cannot be replayed")
    try:
        accepted = await gateway.replay(letter)
    except Malformed as exc:
        raise HTTPError(422, f"refused again: {exc}") from exc
    return {"status": 200, "body": msgspec.to_builtins(accepted)}
