"""The mails that were kept because no mail server is configured."""

from pathlib import Path
from typing import Any

from anyio import to_thread

from cloud.dashboard.mailbox import find_mail, list_mails
from cloud.dashboard.needs import PageRequest
from cloud.dashboard.pages import frame_of, page
from cloud.settings import Settings
from tidegate.contract import Context

config = {
    "type": "api",
    "name": "ShowMail",
    "method": "GET",
    "path": "/mail",
    "middleware": ["pageMiddleware"],
    "emits": [],
}


async def handler(
    req: PageRequest, ctx: Context, *, settings: Settings, data_dir: Path
) -> dict[str, Any]:
    """Return the list of mails, or with `file` one of them as plain text."""
    frame = frame_of(settings, ctx.now())
    outbox = data_dir / "outbox"
    name = req.query_params.get("file")
    mail = await to_thread.run_sync(find_mail, outbox, name) if name else None
    if name and mail is None:
        return page(
            "missing.html",
            frame,
            status=404,
            here="/mail",
            title="No such mail",
            text="It is not kept any more.",
            back="/mail",
            back_text="To the mails",
        )
    return page(
        "mail.html",
        frame,
        here="/mail",
        mail=mail,
        mails=[] if mail else await to_thread.run_sync(list_mails, outbox),
        kept_here=settings.smtp.host is None,
        smtp_host=settings.smtp.host,
    )
