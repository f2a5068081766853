"""Without a mail server: the same mails, kept as `.eml` files in a folder."""

import os
from datetime import datetime
from pathlib import Path

import anyio

from cloud.alerts.errors import Transient
from cloud.alerts.notify.message import Letterhead, compose
from wire.events import AlertNotice

MAX_KEPT = 1_000


class OutboxNotifier:
    """Keeps mails in a folder; beyond `max_kept` the oldest are deleted."""

    def __init__(
        self, folder: Path, letterhead: Letterhead, *, recipient: str, max_kept: int = MAX_KEPT
    ) -> None:
        self._folder = folder
        self._letterhead = letterhead
        self._recipient = recipient
        self._max_kept = max_kept

    async def send(self, notice: AlertNotice, *, message_id: str, now: datetime) -> None:
        """Keep the mail; a repetition keeps the first one."""
        mail = compose(
            notice, self._letterhead, recipient=self._recipient, message_id=message_id, now=now
        )
        name = f"{now:%Y%m%dT%H%M%S.%fZ}-{message_id}.eml"
        try:
            await anyio.to_thread.run_sync(self._keep, name, message_id, mail.as_bytes())
        except OSError as exc:
            raise Transient(f"{self._folder} does not take the mail: {exc.strerror}") from exc

    def _keep(self, name: str, message_id: str, content: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        kept = sorted(self._folder.glob("*.eml"))
        if any(path.stem.endswith(f"-{message_id}") for path in kept):
            return
        _write_at_once(self._folder / name, content)
        for surplus in kept[: max(0, len(kept) + 1 - self._max_kept)]:
            surplus.unlink(missing_ok=True)


def _write_at_once(path: Path, content: bytes) -> None:
    """Write so that a reader, or a power cut, sees the whole file or none."""
    unfinished = path.with_suffix(".part")
    with unfinished.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
