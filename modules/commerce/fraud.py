"""Decide about an order before anything is reserved and any money moves. Pure."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from modules.commerce.money import Money

GROUP = "fraud"
MAX_REMEMBERED = 50
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS

Verdict = Literal["accept", "review", "reject"]


def _limits() -> dict[str, int]:
    return {"EUR": 100_000, "GBP": 100_000, "USD": 100_000}


class FraudRules(msgspec.Struct, frozen=True):
    """From where on an order is looked at by a human, or refused.

    Amounts are minor units by currency: from `review_from` on a human decides, as for every
    order in a currency that is not listed. The counts are a customer's orders of the last hour
    and declined payments of the last 24 hours.
    """

    review_from: Mapping[str, int] = msgspec.field(default_factory=_limits)
    orders_review: int = 5
    orders_reject: int = 20
    declines_review: int = 3
    declines_reject: int = 10


class History(msgspec.Struct, frozen=True, rename="camel"):
    """What is remembered of a customer: times in Unix ms, oldest first, at most 50 each."""

    ordered_ms: tuple[int, ...] = ()
    declined_ms: tuple[int, ...] = ()
    blocked: bool = False


class Assessment(msgspec.Struct, frozen=True):
    """The verdict and why; the reasons are for the shop, never for the customer."""

    verdict: Verdict
    reasons: tuple[str, ...] = ()


def assess(total: Money, history: History, rules: FraudRules, *, now_ms: int) -> Assessment:
    """Judge an order by its amount and its customer's past; the gravest finding decides."""
    ordered = _since(history.ordered_ms, now_ms - HOUR_MS)
    declined = _since(history.declined_ms, now_ms - DAY_MS)
    rejecting = _named(
        customer_blocked=history.blocked,
        too_many_orders=ordered >= rules.orders_reject,
        too_many_declines=declined >= rules.declines_reject,
    )
    if rejecting:
        return Assessment("reject", rejecting)
    limit = rules.review_from.get(total.currency, 1)
    reviewing = _named(
        large_amount=total.amount >= limit,
        many_orders=ordered >= rules.orders_review,
        many_declines=declined >= rules.declines_review,
    )
    return Assessment("review", reviewing) if reviewing else Assessment("accept")


def with_order(history: History, *, now_ms: int) -> History:
    """Return the history with one order more."""
    return msgspec.structs.replace(history, ordered_ms=_appended(history.ordered_ms, now_ms))


def with_decline(history: History, *, now_ms: int) -> History:
    """Return the history with one declined payment more."""
    return msgspec.structs.replace(history, declined_ms=_appended(history.declined_ms, now_ms))


def _appended(times: tuple[int, ...], now_ms: int) -> tuple[int, ...]:
    return (*times, now_ms)[-MAX_REMEMBERED:]


def _since(times: tuple[int, ...], first_ms: int) -> int:
    return sum(1 for time in times if time > first_ms)


def _named(**findings: bool) -> tuple[str, ...]:
    return tuple(name for name, found in findings.items() if found)
