"""Takes the button that sends a dead letter through ingestion again."""

from typing import Any

from cloud.dashboard.needs import PageRequest, Replaying
from cloud.dashboard.pages import redirect
from tidegate.contract import Context
from tidegate.errors import HTTPError

config = {
    "type": "api",
    "name": "ReplayDeadLetterByForm",
    "method": "POST",
    "path": "/dead-letters/:id/replay",
    "middleware": ["pageMiddleware"],
    "emits": [],
}
_TOLD_ON_THE_LIST = {404: "gone", 409: "busy", 422: "refused"}


async def handler(req: PageRequest, _ctx: Context, *, replaying: Replaying) -> dict[str, Any]:
    """Replay one letter and go back to the list, which tells how it went; 503 when it cannot."""
    try:
        await replaying.replay_letter(req.path_params["id"])
    except HTTPError as exc:
        if exc.status not in _TOLD_ON_THE_LIST:
            raise
        return redirect(f"/dead-letters?done={_TOLD_ON_THE_LIST[exc.status]}")
    return redirect("/dead-letters?done=replayed")
