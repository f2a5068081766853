"""The verdict on an order."""

import pytest

from modules.commerce.fraud import (
    DAY_MS,
    HOUR_MS,
    MAX_REMEMBERED,
    Assessment,
    FraudRules,
    History,
    assess,
    with_decline,
    with_order,
)
from modules.commerce.money import Money

NOW_MS = 10 * DAY_MS
RULES = FraudRules(review_from={"EUR": 1000})


@pytest.mark.parametrize(
    ("history", "total", "expected"),
    [
        (History(), Money(999, "EUR"), Assessment("accept")),
        (History(), Money(1000, "EUR"), Assessment("review", ("large_amount",))),
        (History(), Money(1, "CHF"), Assessment("review", ("large_amount",))),
        (History((NOW_MS - 1,) * 4), Money(1, "EUR"), Assessment("accept")),
        (History((NOW_MS - 1,) * 5), Money(1, "EUR"), Assessment("review", ("many_orders",))),
        (History((NOW_MS - HOUR_MS,) * 5), Money(1, "EUR"), Assessment("accept")),
        (History((NOW_MS,) * 20), Money(1, "EUR"), Assessment("reject", ("too_many_orders",))),
        (History((), (NOW_MS,) * 3), Money(1, "EUR"), Assessment("review", ("many_declines",))),
        (
            History((), (NOW_MS,) * 10),
            Money(1, "EUR"),
            Assessment("reject", ("too_many_declines",)),
        ),
        (History((), (NOW_MS - DAY_MS,) * 10), Money(1, "EUR"), Assessment("accept")),
        (
            History(blocked=True),
            Money(9999, "EUR"),
            Assessment("reject", ("customer_blocked",)),
        ),
    ],
)
def test_commerce_fraud_the_gravest_finding_decides(
    history: History, total: Money, expected: Assessment
) -> None:
    """Amount, pace and declines lead to a human; too much of them to a refusal."""
    assert assess(total, history, RULES, now_ms=NOW_MS) == expected


def test_commerce_fraud_history_is_bounded() -> None:
    """The oldest times are forgotten first; a block is not."""
    history = History(blocked=True)

    for now_ms in range(MAX_REMEMBERED + 3):
        history = with_decline(with_order(history, now_ms=now_ms), now_ms=now_ms)

    assert history.ordered_ms == tuple(range(3, MAX_REMEMBERED + 3)) == history.declined_ms
    assert history.blocked
