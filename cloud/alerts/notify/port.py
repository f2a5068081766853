"""The port behind which notices are sent."""

from datetime import datetime
from typing import Protocol

from wire.events import AlertNotice


class Notifier(Protocol):
    """One target that takes notices."""

    async def send(self, notice: AlertNotice, *, message_id: str, now: datetime) -> None:
        """Hand the notice over; on return the target has it.

        `message_id` is the same on every attempt to send the same notice to the same target,
        so that the target can recognise a repetition. `now` is the time of this attempt.

        Raises:
            Transient: another attempt may succeed.
            Rejected: no attempt will succeed before somebody changes the target or settings.
        """
        ...
