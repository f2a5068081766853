"""Turns a device's ledger into what its page says about completeness. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class Missing(NamedTuple):
    """Sequences of one boot that never came: inclusive ranges."""

    boot: str
    ranges: list[tuple[int, int]]


class LedgerView(NamedTuple):
    """A device's account of readings; `complete_pct` is None before any numbered reading."""

    received: int
    stored: int
    duplicate: int
    dead: int
    filtered: int
    in_flight: int
    missing_count: int
    missing: list[Missing]
    complete_pct: float | None


def ledger_view(found: Mapping[str, Any] | None) -> LedgerView:
    """Return the view of what `GET …/ledger` answers; absent counts are 0."""
    counts = found or {}
    boots: Sequence[Mapping[str, Any]] = counts.get("boots") or []
    missing = [_missing(boot) for boot in boots]
    missing_count = sum(high - low + 1 for one in missing for low, high in one.ranges)
    expected = sum(int(boot["last"]) - int(boot["first"]) + 1 for boot in boots)
    return LedgerView(
        received=int(counts.get("received", 0)),
        stored=int(counts.get("stored", 0)),
        duplicate=int(counts.get("duplicate", 0)),
        dead=int(counts.get("dead", 0)),
        filtered=int(counts.get("filtered", 0)),
        in_flight=int(counts.get("in_flight", 0)),
        missing_count=missing_count,
        missing=[one for one in missing if one.ranges],
        complete_pct=100.0 * (expected - missing_count) / expected if expected else None,
    )


def floor_pct(share_pct: float) -> str:
    """Return a percentage that never rounds up to 100 while something is missing."""
    return "100 %" if share_pct >= 100.0 else f"{int(share_pct * 100) / 100:.2f} %"  # noqa: PLR2004


def _missing(boot: Mapping[str, Any]) -> Missing:
    ranges = [(int(low), int(high)) for low, high in boot.get("missing") or []]
    return Missing(str(boot["boot"]), ranges)
