"""Turns a device's ledger into what its page says about completeness. Pure."""

from typing import NamedTuple

from cloud.dashboard.needs import Account, Boot, LastGap

_MS_PER_S = 1_000
_S_PER_HOUR = 3_600


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
    late: int
    clock: str | None
    last_gap: LastGap | None


def ledger_view(account: Account) -> LedgerView:
    """Return the view of a device's account."""
    missing = [Missing(one.boot, list(one.missing)) for one in account.boots if one.missing]
    missing_count = sum(high - low + 1 for one in missing for low, high in one.ranges)
    expected = sum(_expected(one) for one in account.boots)
    return LedgerView(
        received=account.received,
        stored=account.stored,
        duplicate=account.duplicate,
        dead=account.dead,
        filtered=account.filtered,
        in_flight=account.in_flight,
        missing_count=missing_count,
        missing=missing,
        complete_pct=100.0 * (expected - missing_count) / expected if expected else None,
        late=account.late,
        clock=None if account.skew_ms is None else clock_text(account.skew_ms),
        last_gap=account.last_gap,
    )


def clock_text(skew_ms: int) -> str:
    """Return how a device's clock stands; below a second it may be the way that readings take."""
    if abs(skew_ms) < _MS_PER_S:
        return "right"
    seconds = abs(skew_ms) / _MS_PER_S
    amount = f"{seconds:.0f} s" if seconds < _S_PER_HOUR else f"{seconds / _S_PER_HOUR:.1f} h"
    return f"{amount} {'behind' if skew_ms > 0 else 'ahead'}"


def floor_pct(share_pct: float) -> str:
    """Return a percentage that never rounds up to 100 while something is missing."""
    return "100 %" if share_pct >= 100.0 else f"{int(share_pct * 100) / 100:.2f} %"  # noqa: PLR2004


def _expected(boot: Boot) -> int:
    """Return how many sequences a boot should have: holes before the first seen count too."""
    return boot.last - min([boot.first, *(low for low, _ in boot.missing)]) + 1
