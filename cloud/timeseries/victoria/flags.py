"""What a VictoriaMetrics was started with, as its metrics tell. Pure."""

import re

import msgspec

from cloud.timeseries.victoria.samples import Limits

_FLAG = re.compile(rb'^flag\{name="([^"]+)", value="([^"]*)"', re.MULTILINE)
_STARTED = re.compile(rb"^process_start_time_seconds (\S+)", re.MULTILINE)
_DAY_MS = 86_400_000
# What it takes by default; a month has 31 days.
_RETENTION, _STATE_BYTES = "1", 4_096
_UNITS_MS = {"h": 3_600_000, "d": _DAY_MS, "w": 7 * _DAY_MS, "m": 31 * _DAY_MS, "y": 365 * _DAY_MS}
AHEAD_MS = 2 * _DAY_MS


class Flags(msgspec.Struct, frozen=True):
    """How long it keeps samples (ms), how long a label may be, and whether it drops doubles.

    `started` is when it was, in its own words.
    """

    keeps_ms: int
    state_bytes: int
    drops_doubles: bool
    started: str = ""

    def limits(self, now_ms: int) -> Limits:
        """Return what it takes now; it looks back past 0 for what is of the first day of 1970."""
        oldest_ms = max(_DAY_MS, now_ms - self.keeps_ms)
        return Limits(oldest_ms, now_ms + AHEAD_MS, self.state_bytes)


def flags_in(metrics: bytes) -> Flags:
    """Return the flags in the text of `/metrics`; what is not there has its default."""
    found = {name.decode(): value.decode() for name, value in _FLAG.findall(metrics)}
    started = _STARTED.search(metrics)
    longest = found.get("maxLabelValueLen", "")
    dedup = found.get("dedup.minScrapeInterval", "0s")
    return Flags(
        _duration_ms(found.get("retentionPeriod", _RETENTION)),
        int(longest) if longest.isdigit() else _STATE_BYTES,
        re.fullmatch(r"0?[a-z]*", dedup) is None,
        started[1].decode() if started else "",
    )


def _duration_ms(text: str) -> int:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([hdwmy]?)", text)
    if found is None:
        return _duration_ms(_RETENTION)
    return round(float(found[1]) * _UNITS_MS[found[2] or "m"])
