"""What a server's answer to a write means: one table for InfluxDB 1, 2 and 3. Pure."""

import re
from typing import Literal

Outcome = Literal["stored", "refused", "too_large", "missing", "denied", "busy", "failed", "odd"]

# What is not here and no 5xx is "odd": kept, since nobody said that the points are at fault.
_OUTCOMES: dict[int, Outcome] = {
    200: "stored",
    204: "stored",
    400: "refused",
    401: "denied",
    403: "denied",
    404: "missing",
    408: "busy",
    413: "too_large",
    422: "refused",
    429: "busy",
    502: "busy",
    503: "busy",
    504: "busy",
}
# It ends the message; before it stand names and texts of devices, which may say anything.
_DROPPED = re.compile(rb'\bdropped=(\d+)"?\s*\}?\s*\Z')


def outcome_of(status: int) -> Outcome:
    """Return what became of the lines of a request.

    stored: all of them. refused: some or all can never be, others may be stored. too_large: none,
    fewer at once may do. missing: there is no such database. denied: our account may not. busy:
    later. failed: the server's own fault, or what an old one says of a line it does not like.
    odd: something else is in the way.
    """
    outcome = _OUTCOMES.get(status)
    if outcome is None:
        return "failed" if status >= 500 else "odd"  # noqa: PLR2004 - the server's faults
    return outcome


def refuses_all(body: bytes, lines: int) -> bool:
    """Return whether a refusal says that not one of the lines was stored (`dropped=N`)."""
    dropped = _DROPPED.search(body)
    return dropped is not None and int(dropped[1]) >= lines
