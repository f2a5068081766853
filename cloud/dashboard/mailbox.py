"""Reads the kept mails (`.eml` files of the outbox folder) as plain text, and nothing else."""

from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import parsedate_to_datetime
from pathlib import Path

import msgspec

_MAX_LISTED = 200
_MAX_BYTES = 1_000_000
_MAX_TEXT = 100_000


class Attachment(msgspec.Struct, frozen=True):
    """Something that a mail carries beside its text."""

    name: str
    content_type: str
    size_bytes: int


class Mail(msgspec.Struct, frozen=True):
    """One kept mail; `at_ms` is its own date, else when the file was written (Unix ms)."""

    file_name: str
    subject: str
    sender: str
    to: str
    at_ms: int
    text: str = ""
    attachments: list[Attachment] = []


def list_mails(outbox: Path, limit: int = _MAX_LISTED) -> list[Mail]:
    """Return the newest mails, newest first; no folder means none. Blocks on the disk."""
    return [_read(path) for path in _newest(outbox)[:limit]]


def find_mail(outbox: Path, file_name: str) -> Mail | None:
    """Return the mail of that file name, None when the folder holds none. Blocks on the disk.

    The name is only compared with those in the folder, so it cannot lead out of it.
    """
    return next((_read(path) for path in _newest(outbox) if path.name == file_name), None)


def _newest(outbox: Path) -> list[Path]:
    if not outbox.is_dir():
        return []
    dated = [(path.stat().st_mtime_ns, path.name, path) for path in outbox.glob("*.eml")]
    return [path for _, _, path in sorted(dated, reverse=True) if not path.is_symlink()]


def _read(path: Path) -> Mail:
    with path.open("rb") as file:
        message = BytesParser(policy=policy.default).parsebytes(file.read(_MAX_BYTES))
    return Mail(
        file_name=path.name,
        subject=_header(message, "subject") or "(no subject)",
        sender=_header(message, "from"),
        to=_header(message, "to"),
        at_ms=_date_ms(message) or path.stat().st_mtime_ns // 1_000_000,
        text=_text(message)[:_MAX_TEXT],
        attachments=[_attachment(part) for part in message.iter_attachments()],
    )


def _header(message: EmailMessage, name: str) -> str:
    return str(message[name] or "")


def _date_ms(message: EmailMessage) -> int | None:
    try:
        return int(parsedate_to_datetime(_header(message, "date")).timestamp() * 1_000)
    except ValueError:
        return None


def _text(message: EmailMessage) -> str:
    part = message.get_body(preferencelist=("plain",))
    if part is None:
        return "(This mail has no plain text part.)"
    try:
        return str(part.get_content())
    except (LookupError, UnicodeError):
        return "(The text of this mail has an unknown encoding.)"


def _attachment(part: EmailMessage) -> Attachment:
    payload = part.get_payload(decode=True)
    size_bytes = len(payload) if isinstance(payload, bytes) else 0
    return Attachment(part.get_filename() or "unnamed", part.get_content_type(), size_bytes)
