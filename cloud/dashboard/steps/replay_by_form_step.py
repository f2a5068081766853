"""Takes the button that sends a dead letter through ingestion again."""

from typing import Any

from cloud.dashboard.needs import Gateway, Ledger, PageRequest
from cloud.dashboard.pages import redirect
from cloud.settings import Settings
from tidegate.auth.origin import same_origin
from tidegate.contract import Context
from tidegate.errors import HTTPError
from wire.errors import Malformed

config = {
    "type": "api",
    "name": "ReplayDeadLetterByForm",
    "method": "POST",
    "path": "/dead-letters/:id/replay",
    "middleware": ["pageMiddleware"],
    "emits": [],
}
_MAX_DIGITS = 18


async def handler(
    req: PageRequest, ctx: Context, *, ledger: Ledger, gateway: Gateway, settings: Settings
) -> dict[str, Any]:
    """Replay one letter and go back to the list, which tells how it went.

    Raises:
        HTTPError: 403 when the form is not ours, 503 when ingestion cannot take it now.
    """
    if not same_origin(req.headers, settings.http.public_url):
        raise HTTPError(403, "the form was not sent from this site")
    name = req.path_params["id"]
    is_number = name.isascii() and name.isdigit() and len(name) <= _MAX_DIGITS
    letter = await ledger.letter(int(name)) if is_number else None
    if letter is None or not letter.readings:
        return redirect("/dead-letters?done=gone")
    try:
        await gateway.replay(letter)
    except Malformed:
        return redirect("/dead-letters?done=refused")
    ctx.logger.info("dead_letter.replayed", letter=letter.id)
    return redirect("/dead-letters?done=replayed")
