"""What a server says to a request, and what follows from it. Pure."""

import math
from typing import NamedTuple, TypeVar

import msgspec

from cloud.timeseries.port import StoreAway

LONGEST_WAIT_S = 600.0
DENIED = frozenset({401, 403})
_FAULT_CHARS = 300

T = TypeVar("T")


class Answer(NamedTuple):
    """What a server said, whatever the status."""

    status: int
    body: bytes
    version: str | None = None
    retry_after_s: float | None = None

    @property
    def is_good(self) -> bool:
        """Return whether the request did what it was for."""
        return 200 <= self.status < 300  # noqa: PLR2004 - the statuses of success

    @property
    def text(self) -> str:
        """Return the beginning of the body: what went wrong, in the server's words."""
        return self.body[:_FAULT_CHARS].decode(errors="replace").strip()


def good(name: str, answer: Answer) -> Answer:
    """Return an answer of success; raise `StoreAway` for any other, with what to do about it."""
    if answer.status in DENIED:
        raise StoreAway(refused(name, answer))
    if not answer.is_good:
        raise StoreAway(
            f"{name} answers {answer.status}: {answer.text}",
            retry_after_s=answer.retry_after_s or 0.0,
        )
    return answer


def decoded(name: str, body: bytes, kind: type[T]) -> T:
    """Return what an answer's JSON holds; raise `StoreAway` when it is none of that kind."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.MsgspecError as exc:
        raise StoreAway(
            f"{name} answers what cannot be read: see that nothing between it and us changes it"
        ) from exc


def refused(name: str, answer: Answer) -> str:
    """Return what to tell the operator when a server does not accept our account."""
    return (
        f"{name} refuses our account ({answer.status}): correct user and password, or the token, "
        f"in timeseries.url, and see that they may read and write. It says: {answer.text}"
    )


def seconds_of(header: str | None) -> float | None:
    """Return what a `Retry-After` header says, at most 600 s; None when it is no number."""
    try:
        seconds = float(header or "")
    except ValueError:
        return None
    return min(max(seconds, 0.0), LONGEST_WAIT_S) if math.isfinite(seconds) else None
