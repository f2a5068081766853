"""Takes the button that sends many dead letters through ingestion again."""

from typing import Any
from urllib.parse import urlencode

from cloud.dashboard.needs import PageRequest, Replaying
from cloud.dashboard.pages import redirect
from tidegate.contract import Context

config = {
    "type": "api",
    "name": "ReplayDeadLettersByForm",
    "method": "POST",
    "path": "/dead-letters/replay",
    "middleware": ["pageMiddleware"],
    "emits": [],
}
_LETTERS_A_PRESS = 500
_MAX_CHARS = 200


async def handler(req: PageRequest, _ctx: Context, *, replaying: Replaying) -> dict[str, Any]:
    """Replay what the list was narrowed to, newest first, and go back there; 503 when away."""
    fields = req.body if isinstance(req.body, dict) else {}
    wanted = {
        name: str(fields.get(name) or "")[:_MAX_CHARS] for name in ("tenant", "device", "reason")
    }
    done = await replaying.replay_letters(
        tenant=wanted["tenant"] or None,
        device=wanted["device"] or None,
        reason=wanted["reason"] or None,
        limit=_LETTERS_A_PRESS,
    )
    told = {"done": "many", "count": done.letters, "refused": done.refused, "left": done.left}
    return redirect(f"/dead-letters?{urlencode({**wanted, **told})}")
