"""One suite for both payment adapters: in memory, and Stripe's against localstripe."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest

from modules.commerce.errors import PaymentRefused
from modules.commerce.money import Money
from modules.commerce.payments.memory import MemoryPayments
from modules.commerce.payments.port import Charged, PaymentOrder, Payments
from modules.commerce.payments.stripe import open_stripe
from tests.support.commerce import CARD, DECLINED_CARD
from tests.support.localstripe import KEY, Localstripe
from tests.support.stripe_gate import open_gate

pytestmark = pytest.mark.anyio
ADAPTERS = ["memory", "stripe"]


def _order(method: str = CARD, amount: int = 1999) -> PaymentOrder:
    order_id = uuid4().hex
    return PaymentOrder(order_id, Money(amount, "EUR"), method, f"key-{order_id}")


class Books:
    """An adapter, and what was taken and went back as its provider tells it."""

    def __init__(self, payments: Payments, provider: Localstripe | None) -> None:
        self.payments = payments
        self._provider = provider

    def charged(self, order_id: str) -> list[int]:
        """Return the amounts that were taken for an order."""
        if self._provider is not None:
            return self._provider.charges(order_id)
        assert isinstance(self.payments, MemoryPayments)
        return [money.amount for of, money in self.payments.charged if of == order_id]

    def refunds(self, order_id: str) -> int:
        """Return how often an order's money went back."""
        if self._provider is not None:
            return len(self._provider.refunds(order_id))
        assert isinstance(self.payments, MemoryPayments)
        return self.payments.refunded.count(order_id)


@asynccontextmanager
async def _opened(adapter: str, request: pytest.FixtureRequest) -> AsyncIterator[Books]:
    if adapter == "memory":
        yield Books(MemoryPayments(), None)
        return
    provider = request.getfixturevalue("localstripe")
    async with open_gate(provider) as gate, open_stripe(KEY, url=gate.url) as payments:
        yield Books(payments, provider)


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_commerce_payments_opening_moves_no_money(
    adapter: str, request: pytest.FixtureRequest
) -> None:
    """A payment that is only opened is not charged."""
    async with _opened(adapter, request) as books:
        order = _order()

        await books.payments.open(order)

        assert books.charged(order.order_id) == []


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_commerce_payments_charge_once(adapter: str, request: pytest.FixtureRequest) -> None:
    """Charging again says the same and takes nothing more."""
    async with _opened(adapter, request) as books:
        order = _order()
        payment_id = await books.payments.open(order)

        said = [await books.payments.charge(payment_id) for _ in range(3)]

        assert said == [Charged("paid")] * 3
        assert books.charged(order.order_id) == [1999]


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_commerce_payments_a_decline_is_final(
    adapter: str, request: pytest.FixtureRequest
) -> None:
    """A declined card is told with a reason, and again so when asked again."""
    async with _opened(adapter, request) as books:
        order = _order(DECLINED_CARD)
        payment_id = await books.payments.open(order)

        said = [await books.payments.charge(payment_id) for _ in range(2)]

        assert said == [Charged("declined", "card_declined")] * 2
        assert books.charged(order.order_id) == []


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_commerce_payments_give_back_refunds_once(
    adapter: str, request: pytest.FixtureRequest
) -> None:
    """What was taken goes back once, however often that is asked for."""
    async with _opened(adapter, request) as books:
        order = _order()
        payment_id = await books.payments.open(order)
        await books.payments.charge(payment_id)

        went = [await books.payments.give_back(payment_id, key="k") for _ in range(2)]

        assert went == ["refunded", "refunded"]
        assert books.refunds(order.order_id) == 1


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_commerce_payments_a_void_payment_stays_void(
    adapter: str, request: pytest.FixtureRequest
) -> None:
    """A payment that was given back before its charge cannot be charged any more."""
    async with _opened(adapter, request) as books:
        order = _order()
        payment_id = await books.payments.open(order)

        went = [await books.payments.give_back(payment_id, key="k") for _ in range(2)]
        charged = await books.payments.charge(payment_id)

        assert went == ["void", "void"]
        assert charged == Charged("declined", "payment_not_possible")
        assert books.charged(order.order_id) == []


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize(("method", "amount"), [("", 1999), (CARD, 0)])
async def test_commerce_payments_impossible_ones_are_refused(
    adapter: str, method: str, amount: int, request: pytest.FixtureRequest
) -> None:
    """Without a method or an amount there is no payment to retry."""
    async with _opened(adapter, request) as books:
        with pytest.raises(PaymentRefused) as refused:
            await books.payments.open(_order(method, amount))

        assert refused.value.reason == "payment_not_possible"
