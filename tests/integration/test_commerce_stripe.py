"""Orders paid through the official `stripe` package at localstripe; money is counted there."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from uuid import uuid4

import pytest

from modules.commerce.errors import PaymentAway, PaymentRefused
from modules.commerce.money import Money
from modules.commerce.payments.port import Charged, PaymentOrder
from modules.commerce.payments.stripe import StripePayments, open_stripe
from tests.support.commerce import CARD, DECLINED_CARD, counts, order, place, product, put, shop
from tests.support.localstripe import KEY, Localstripe
from tests.support.stripe_gate import Fault, Gate, open_gate
from tidegate.contract import Context
from tidegate.testing import Harness

pytestmark = pytest.mark.anyio

_ALL_RETRIES_S = 7200.0
_CREATE, _CONFIRM = "POST /v1/payment_intents", "/confirm"


class _Shop(NamedTuple):
    h: Harness
    gate: Gate
    provider: Localstripe
    order_id: str

    async def run(self, **fields: Any) -> dict[str, Any]:
        """Place an order, let all retries happen, and return its record."""
        await place(self.h, self.order_id, order(**fields))
        await self.h.tick(_ALL_RETRIES_S)
        record: dict[str, Any] = await self.h.state("orders", self.order_id)
        return record


@asynccontextmanager
async def _shop(provider: Localstripe) -> AsyncIterator[_Shop]:
    async with (
        open_gate(provider) as gate,
        open_stripe(KEY, url=gate.url) as payments,
        shop(payments) as h,
    ):
        await put(h, "products", "cup", product())
        yield _Shop(h, gate, provider, uuid4().hex)


@asynccontextmanager
async def _adapter(provider: Localstripe) -> AsyncIterator[tuple[StripePayments, Gate]]:
    async with open_gate(provider) as gate, open_stripe(KEY, url=gate.url) as payments:
        yield payments, gate


def _payment(method: str = CARD, total: Money | None = None) -> PaymentOrder:
    order_id = uuid4().hex
    return PaymentOrder(order_id, total or Money(1999, "EUR"), method, f"key-{order_id}")


async def test_commerce_stripe_takes_the_total_in_minor_units(localstripe: Localstripe) -> None:
    """The provider took exactly the total, in the order's currency, under the order's id."""
    async with _shop(localstripe) as s:
        record = await s.run(total=2345)

        [intent] = localstripe.intents(s.order_id)
        assert (record["status"], record["paymentId"]) == ("confirmed", intent["id"])
        assert localstripe.charges(s.order_id) == [2345]
        assert (intent["amount"], intent["currency"]) == (2345, "eur")


async def test_commerce_stripe_decline_ends_the_order(localstripe: Localstripe) -> None:
    """A card that is declined there fails the order here, and is not tried again."""
    async with _shop(localstripe) as s:
        record = await s.run(paymentMethod=DECLINED_CARD)

        assert (record["status"], record["failure"]) == ("failed", "card_declined")
        assert localstripe.charges(s.order_id) == []
        assert await counts(s.h) == (10, 0)
        assert [path for _, path, _ in s.gate.requests if path.endswith(_CONFIRM)] != []


@pytest.mark.parametrize("part", [_CREATE, _CONFIRM])
@pytest.mark.parametrize("fault", ["cut", "lost", "500", "429"])
async def test_commerce_stripe_network_fails_and_money_moves_once(
    localstripe: Localstripe, part: str, fault: Fault
) -> None:
    """A connection that dies before or after the provider acted: retried, charged once."""
    async with _shop(localstripe) as s:
        s.gate.fail_next(part, fault, times=2)

        record = await s.run()

        assert record["status"] == "confirmed"
        assert localstripe.charges(s.order_id) == [2000]
        assert (await counts(s.h), await s.h.dead()) == ((8, 0), [])


async def test_commerce_stripe_retries_carry_one_idempotency_key(localstripe: Localstripe) -> None:
    """Every try to open an order's payment has the same key, which names the order."""
    async with _shop(localstripe) as s:
        s.gate.fail_next(_CREATE, "cut", times=2)

        record = await s.run()
        keys = [key for method, path, key in s.gate.requests if f"{method} {path}" == _CREATE]

        assert keys == [record["paymentKey"]] * 3
        assert s.order_id in record["paymentKey"]


async def test_commerce_stripe_answers_that_never_come_are_refunded(
    localstripe: Localstripe,
) -> None:
    """The charge worked, nobody ever heard: the order fails, and the money goes back once."""
    async with _shop(localstripe) as s:
        s.gate.fail_next(_CONFIRM, "cut")
        await place(s.h, s.order_id, order())
        await s.h.drain()
        payment_id = (await s.h.state("orders", s.order_id))["paymentId"]
        # Every look at what became of it is lost, until the runtime gives up charging.
        s.gate.fail_next(f"GET /v1/payment_intents/{payment_id}", "lost", times=9)
        s.gate.fail_next("POST /v1/refunds", "cut")

        await s.h.tick(_ALL_RETRIES_S)
        record = await s.h.state("orders", s.order_id)

        assert (record["status"], record["payment"]) == ("failed", "refunded")
        assert localstripe.charges(s.order_id) == [2000]
        assert localstripe.refunds(s.order_id) == [2000]
        assert await counts(s.h) == (10, 0)


async def test_commerce_stripe_cancelled_order_is_refunded(localstripe: Localstripe) -> None:
    """The charge worked, its answer was cut, the order was cancelled: the money goes back."""
    async with _shop(localstripe) as s:
        s.gate.fail_next(_CONFIRM, "cut")
        await place(s.h, s.order_id, order())
        await s.h.drain()

        async def cancel(ctx: Context) -> None:
            record = await ctx.state.get("orders", s.order_id)
            await ctx.state.set("orders", s.order_id, {**record, "status": "cancelled"})

        await s.h.engine.transact(cancel)
        await s.h.tick(_ALL_RETRIES_S)

        assert localstripe.charges(s.order_id) == [2000]
        assert localstripe.refunds(s.order_id) == [2000]
        assert len(s.h.capture("payment.refunded")) == 1


async def test_commerce_stripe_a_payment_method_that_is_none_is_final(
    localstripe: Localstripe,
) -> None:
    """What the provider does not know is not retried."""
    async with _adapter(localstripe) as (payments, gate):
        with pytest.raises(PaymentRefused) as refused:
            await payments.open(_payment("pm_nobody"))

        assert refused.value.reason == "payment_not_possible"
        assert len(gate.requests) == 1


async def test_commerce_stripe_too_many_requests_say_when(localstripe: Localstripe) -> None:
    """The provider's own wait is passed on."""
    async with _adapter(localstripe) as (payments, gate):
        gate.fail_next(_CREATE, "429")

        with pytest.raises(PaymentAway) as away:
            await payments.open(_payment())

        assert away.value.retry_after_s == 7


async def test_commerce_stripe_card_that_needs_its_owner_is_let_go(
    localstripe: Localstripe,
) -> None:
    """A payment that waits for 3-D Secure is cancelled there and declined here."""
    async with _adapter(localstripe) as (payments, _gate):
        card = {"number": "4000002500003155", "exp_month": "12", "exp_year": "2030", "cvc": "123"}
        wanted = _payment(localstripe.new_card(card))
        payment_id = await payments.open(wanted)

        charged = await payments.charge(payment_id)

        [intent] = localstripe.intents(wanted.order_id)
        assert charged == Charged("declined", "authentication_required")
        assert intent["status"] == "canceled"


async def test_commerce_stripe_wrong_key_is_the_operators(localstripe: Localstripe) -> None:
    """A key that is not accepted declines nobody's card: it is retried until it is right."""
    async with open_gate(localstripe) as gate, open_stripe("wrong", url=gate.url) as payments:
        with pytest.raises(PaymentAway, match="AuthenticationError"):
            await payments.open(_payment())
