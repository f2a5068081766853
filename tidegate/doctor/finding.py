"""What one check has found. Pure."""

from typing import Literal

import msgspec

Level = Literal["ok", "warn", "FAIL"]


class Finding(msgspec.Struct, frozen=True):
    """One line: how bad it is, what was looked at, what was found, what to do about it."""

    level: Level
    check: str
    found: str
    advice: str = ""


def ok(check: str, found: str) -> Finding:
    """Return what is as it should be."""
    return Finding("ok", check, found)


def warn(check: str, found: str, advice: str) -> Finding:
    """Return what works, but maybe not as it is meant."""
    return Finding("warn", check, found, advice)


def fail(check: str, found: str, advice: str) -> Finding:
    """Return what does not work."""
    return Finding("FAIL", check, found, advice)
