"""One notice as a mail: text and HTML, safe headers. Reads its two templates, else pure."""

import functools
from datetime import datetime
from email import policy
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import jinja2
import msgspec

from cloud.alerts import wording
from cloud.alerts.errors import Rejected
from wire.events import AlertNotice
from wire.quantities import duration_text, format_value

_TEMPLATES = Path(__file__).parent / "templates"
_COLOUR_OF = {"critical": "#b3261e", "warning": "#b25e00", "info": "#1f5fa8"}
_RESOLVED_COLOUR = "#1e7a45"


class Letterhead(msgspec.Struct, frozen=True):
    """What all mails of an installation share."""

    sender: str
    site: str
    zone: ZoneInfo
    pages_url: str | None = None


def compose(
    notice: AlertNotice, letterhead: Letterhead, *, recipient: str, message_id: str, now: datetime
) -> EmailMessage:
    """Return the mail to one recipient.

    The same `message_id` gives the same Message-ID, by which mail programs recognise a
    repetition; mails of one alert's beginning and end refer to one thread.

    Raises:
        Rejected: sender or recipient is no mail address.
    """
    sender = mail_address(letterhead.sender)
    shown_name = sender.display_name or wording.one_line(letterhead.site)
    mail = EmailMessage(policy=policy.SMTP)
    mail["From"] = Address(shown_name, sender.username, sender.domain)
    mail["To"] = mail_address(recipient)
    mail["Subject"] = wording.subject(notice)
    mail["Date"] = format_datetime(now)
    mail["Message-ID"] = f"<{message_id}@{sender.domain}>"
    mail["References"] = f"<alert-{notice.alert_id}-{notice.started_at_ms}@{sender.domain}>"
    # RFC 3834: no holiday answers to a machine.
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    shown = _shown(notice, letterhead)
    mail.set_content(_templates().get_template("alert.txt").render(shown))
    mail.add_alternative(_templates().get_template("alert.html").render(shown), subtype="html")
    return mail


def mail_address(text: str) -> Address:
    """Read `name@host` or `Name <name@host>`; raise `Rejected` when it is not exactly one."""
    try:
        header = policy.SMTP.header_factory("To", text)
    except (ValueError, LookupError, MessageError):
        header = None
    if header is None or header.defects or len(header.addresses) != 1:
        raise Rejected(f"'{wording.one_line(text)}' is no mail address like name@host")
    address: Address = header.addresses[0]
    return address


def _shown(notice: AlertNotice, letterhead: Letterhead) -> dict[str, Any]:
    ended = notice.ended_at_ms
    value = None if notice.value is None else format_value(notice.metric, notice.value)
    resolved = notice.status == "resolved"
    return {
        "headline": wording.one_line(notice.summary),
        "status": notice.status,
        "colour": _RESOLVED_COLOUR if resolved else _COLOUR_OF[notice.severity],
        "site": wording.one_line(letterhead.site),
        "pages_url": letterhead.pages_url,
        "alert_id": notice.alert_id,
        "rows": _rows(notice)
        + ([("Value", value)] if value else [])
        + [("Since", wording.local_time(notice.started_at_ms, letterhead.zone))]
        + _ending(notice.started_at_ms, ended, letterhead.zone),
    }


def _rows(notice: AlertNotice) -> list[tuple[str, str]]:
    rows = [
        ("Rule", notice.rule),
        ("Severity", notice.severity),
        ("Tenant", notice.tenant),
        ("Device", notice.device),
        ("Metric", notice.metric),
    ]
    return [(name, wording.one_line(text)) for name, text in rows if text]


def _ending(started_ms: int, ended_ms: int | None, zone: ZoneInfo) -> list[tuple[str, str]]:
    if ended_ms is None:
        return []
    lasted = duration_text(ended_ms - started_ms)
    return [("Ended", wording.local_time(ended_ms, zone)), ("Lasted", lasted)]


@functools.cache
def _templates() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=jinja2.select_autoescape(["html"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
