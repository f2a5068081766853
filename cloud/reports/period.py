"""The period of a report: read from a request, and written so that nobody can misread it."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple

from cloud.reports.errors import BadPeriod

MAX_DAYS = 366
_KEYS = ("from", "to", "last", "tenant", "device")
_MS_PER_UNIT = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_LAST = re.compile(r"([1-9][0-9]{0,5})([smhdw])")
_DIGITS = re.compile(r"[0-9]{1,15}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_MS = _MS_PER_UNIT["d"]


class Period(NamedTuple):
    """A range of time, Unix ms; the end is not part of it."""

    from_ms: int
    to_ms: int


class Scope(NamedTuple):
    """Whose data a report is about; None means all."""

    tenant: str | None = None
    device: str | None = None


EVERYTHING = Scope()


def parse_request(body: object, now_ms: int) -> tuple[Period, Scope]:
    """Read `{"from", "to"}` or `{"last"}` and the optional tenant and device.

    Raises:
        BadPeriod: what is wrong, and how it should be.
    """
    if not isinstance(body, Mapping):
        raise BadPeriod('the body must be an object such as {"last": "1h"}')
    unknown = sorted(str(key) for key in body if key not in _KEYS)
    if unknown:
        raise BadPeriod(f"unknown field {unknown[0]!r:.80}; there are {', '.join(_KEYS)}")
    scope = Scope(_name(body, "tenant"), _name(body, "device"))
    return _period(body, now_ms), scope


def last_period(text: str, now_ms: int) -> Period:
    """Return the period that ends now and is as long as `text` says (`90s`, `1h`, `7d`).

    Raises:
        BadPeriod: the text is no such duration, or longer than a report may be.
    """
    match = _LAST.fullmatch(text)
    if match is None:
        raise BadPeriod('"last" must be a number and one of s m h d w, such as "1h"')
    length_ms = int(match[1]) * _MS_PER_UNIT[match[2]]
    return checked_period(now_ms - length_ms, now_ms, now_ms)


def moment(ms: int, zone: tzinfo) -> datetime:
    """Return a Unix time in ms as the site's clock shows it."""
    return (_EPOCH + timedelta(milliseconds=ms)).astimezone(zone)


def moment_text(ms: int, zone: tzinfo) -> str:
    """Write a moment with its offset: `2026-10-25 02:30:00 UTC+02:00`."""
    local = moment(ms, zone)
    fraction = f".{ms % 1000:03d}" if ms % 1000 else ""
    return f"{local:%Y-%m-%d %H:%M:%S}{fraction} {_offset(local)}"


def clock_text(ms: int, zone: tzinfo) -> str:
    """Write a moment briefly, for tables below a heading that names the zone."""
    return f"{moment(ms, zone):%Y-%m-%d %H:%M:%S}"


def period_text(period: Period, zone: tzinfo) -> str:
    """Write both ends, each with its own offset: it may change within the period."""
    return f"{moment_text(period.from_ms, zone)} \N{EN DASH} {moment_text(period.to_ms, zone)}"


def _period(body: Mapping[str, object], now_ms: int) -> Period:
    if "last" in body:
        if "from" in body or "to" in body:
            raise BadPeriod('give either "last" or "from" and "to"')
        return last_period(str(body["last"]), now_ms)
    if "from" not in body:
        raise BadPeriod('give "from" and "to" (Unix ms or RFC 3339), or "last" such as "1h"')
    to_ms = _instant(body, "to") if "to" in body else now_ms
    return checked_period(_instant(body, "from"), to_ms, now_ms)


def checked_period(from_ms: int, to_ms: int, now_ms: int) -> Period:
    """Return the period.

    Raises:
        BadPeriod: it is empty, too long, or lies where there is no data.
    """
    if from_ms < 0:
        raise BadPeriod('"from" must not be before 1970')
    if from_ms >= to_ms:
        raise BadPeriod('"from" must be before "to"')
    if to_ms - from_ms > MAX_DAYS * _DAY_MS:
        raise BadPeriod(f"a report covers at most {MAX_DAYS} days")
    if to_ms > now_ms + _DAY_MS:
        raise BadPeriod('"to" must not be more than a day ahead')
    return Period(from_ms, to_ms)


def _instant(body: Mapping[str, object], key: str) -> int:
    value = body[key]
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        return int(value)
    if isinstance(value, str):
        return _rfc3339(value, key)
    raise BadPeriod(f'"{key}" must be Unix ms or RFC 3339 text')


def _rfc3339(text: str, key: str) -> int:
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        parsed = None
    if parsed is None or parsed.tzinfo is None:
        raise BadPeriod(
            f'"{key}" must be Unix ms or RFC 3339 with an offset, such as 2026-10-25T06:00:00+01:00'
        )
    return (parsed - _EPOCH) // timedelta(milliseconds=1)


def _name(body: Mapping[str, object], key: str) -> str | None:
    value = body.get(key)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise BadPeriod(f'"{key}" must be text')
    return value


def _offset(local: datetime) -> str:
    minutes = int((local.utcoffset() or timedelta()).total_seconds()) // 60
    sign = "-" if minutes < 0 else "+"
    return f"UTC{sign}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"
