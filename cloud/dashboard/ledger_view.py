"""Turns a device's ledger into what its page says about completeness. Pure."""

from typing import NamedTuple

from cloud.dashboard.needs import Account, Boot


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
    )


def floor_pct(share_pct: float) -> str:
    """Return a percentage that never rounds up to 100 while something is missing."""
    return "100 %" if share_pct >= 100.0 else f"{int(share_pct * 100) / 100:.2f} %"  # noqa: PLR2004


def _expected(boot: Boot) -> int:
    """Return how many sequences a boot should have: holes before the first seen count too."""
    return boot.last - min([boot.first, *(low for low, _ in boot.missing)]) + 1
