"""Counting calls: one value per tenant and day, bounded, exact. Pure.

The value is `{endpoint: calls, …, "total": calls}`; the sum of the endpoints is the total.
"""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any

from modules.saas.errors import Rejected
from modules.saas.periods import Period

GROUP = "analytics"
TOTAL = "total"
OTHER = "other"
"""Where calls of an endpoint beyond the bound are counted."""

MAX_ENDPOINTS = 100
MAX_ENDPOINT_CHARS = 120
MAX_AHEAD = timedelta(minutes=5)
"""How far the caller's clock may be ahead of ours."""


def day_key(tenant_id: str, day: date) -> str:
    """Return where the calls of a day are counted."""
    return f"usage:{tenant_id}:{day.isoformat()}"


def late_key(tenant_id: str, period: Period) -> str:
    """Return where calls are counted that came after the invoice of their own period.

    They are billed with this period but belong to none of its days, nor to a day's limit.
    """
    return f"usage:{tenant_id}:{period}-late"


def keys_of(tenant_id: str, period: Period) -> list[str]:
    """Return every key at which calls of a period may be counted."""
    return [*(day_key(tenant_id, day) for day in period.days()), late_key(tenant_id, period)]


def announced_key(tenant_id: str, day: date) -> str:
    """Return where it is kept which limit was announced as exceeded on a day."""
    return f"threshold:{tenant_id}:{day.isoformat()}"


def endpoint_name(raw: str) -> str:
    """Return the name under which an endpoint is counted: no query (it may hold secrets), short.

    An endpoint called like one of our own entries gets a slash, so that it cannot add to the sum.
    """
    name = raw.partition("?")[0].partition("#")[0].strip()[:MAX_ENDPOINT_CHARS] or "/"
    return f"/{name}" if name in (TOTAL, OTHER) else name


def counted(value: Any, endpoint: str) -> dict[str, int]:
    """Return a day's value with one more call of an endpoint.

    The first `MAX_ENDPOINTS` endpoints of a day are counted apart, the rest as `other`: nobody
    can make the value grow by calling made-up paths.
    """
    calls = checked(value)
    name = endpoint_name(endpoint)
    if name not in calls and len(calls.keys() - {TOTAL, OTHER}) >= MAX_ENDPOINTS:
        name = OTHER
    calls[name] = calls.get(name, 0) + 1
    calls[TOTAL] = calls.get(TOTAL, 0) + 1
    return calls


def checked(value: Any) -> dict[str, int]:
    """Return a stored value as counts.

    Raises:
        Rejected: somebody else wrote there, and what stands there cannot be billed.
    """
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(_is_count(calls) for calls in value.values()):
        raise Rejected("stored usage is not a map of counts: correct it, then redrive this event")
    calls = dict(value)
    if sum(calls.values()) != 2 * calls.get(TOTAL, 0):
        raise Rejected("stored usage has a wrong total: correct it, then redrive this event")
    return calls


def total_of(values: Iterable[Any]) -> int:
    """Return the calls of several days; raise `Rejected` as `checked` does."""
    return sum(checked(value).get(TOTAL, 0) for value in values)


def is_to_announce(total: int, limit: int | None, announced: int | None) -> bool:
    """Tell whether the limit is exceeded and nobody was told: once a day, again after an upgrade.

    `announced` is the highest limit that was announced as exceeded on that day.
    """
    if limit is None or total <= limit:
        return False
    return announced is None or limit > announced


def time_of_usage(at: datetime | None, now: datetime, *, max_age: timedelta) -> datetime:
    """Return when a call counts: at its own time when it has one, else now.

    Raises:
        Rejected: its time is in the future, or so long ago that a repeat of it would no longer
            be recognised.
    """
    if at is None:
        return now
    if at > now + MAX_AHEAD:
        raise Rejected(f"at {at.isoformat()} is in the future: correct the caller's clock")
    if at < now - max_age:
        raise Rejected(f"at {at.isoformat()} is more than {max_age.days} days ago: bill it by hand")
    return at


def _is_count(calls: object) -> bool:
    return isinstance(calls, int) and not isinstance(calls, bool) and calls >= 0
