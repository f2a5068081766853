"""Amounts as Stripe counts them, the settings, and the memory adapter's bound."""

import pytest

from modules.commerce.errors import PaymentRefused
from modules.commerce.money import Money
from modules.commerce.payments import memory
from modules.commerce.payments.port import PaymentOrder
from modules.commerce.payments.stripe import minor_units
from modules.commerce.settings import Settings, read_settings
from tidegate.errors import Misconfigured

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("money", "expected"),
    [
        (Money(1999, "EUR"), 1999),
        (Money(500, "JPY"), 500),
        (Money(5, "ISK"), 500),
        (Money(1230, "KWD"), 1230),
    ],
)
def test_commerce_payments_amounts_are_stripes(money: Money, expected: int) -> None:
    """Most currencies have the same smallest unit for both; a króna has a hundred parts there."""
    assert minor_units(money) == expected


def test_commerce_payments_refuse_what_cannot_be_charged_exactly() -> None:
    """Stripe charges dinars to two digits only: nothing is rounded in silence."""
    with pytest.raises(PaymentRefused, match="last digit"):
        minor_units(Money(1234, "KWD"))


def test_commerce_settings_say_where_payments_go() -> None:
    """A shop that moves no money must be asked for; Stripe needs its key."""
    stripe = {"TIDEGATE_COMMERCE_PAYMENTS": "stripe", "TIDEGATE_COMMERCE_STRIPE_KEY": "sk_x"}

    assert read_settings(stripe) == Settings("stripe", "sk_x", None)
    assert read_settings({"TIDEGATE_COMMERCE_PAYMENTS": "memory"}) == Settings("memory")
    for wrong in ({}, {"TIDEGATE_COMMERCE_PAYMENTS": "paypal"}):
        with pytest.raises(Misconfigured, match="set TIDEGATE_COMMERCE_PAYMENTS to"):
            read_settings(wrong)
    with pytest.raises(Misconfigured, match="set TIDEGATE_COMMERCE_STRIPE_KEY"):
        read_settings({"TIDEGATE_COMMERCE_PAYMENTS": "stripe"})


async def test_commerce_payments_memory_is_bounded() -> None:
    """The oldest payments are forgotten, and cannot be charged then."""
    payments = memory.MemoryPayments(max_payments=2)

    ids = [await payments.open(PaymentOrder(key, Money(1, "EUR"), "card", key)) for key in "abc"]

    assert [(await payments.charge(payment_id)).status for payment_id in ids] == [
        "declined", "paid", "paid"
    ]  # fmt: skip
