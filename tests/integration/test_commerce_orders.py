"""Orders from placed to their end: stock, verdicts, money."""

from typing import Any

import pytest

from modules.commerce.fraud import FraudRules
from modules.commerce.payments.memory import MemoryPayments
from tests.support.commerce import (
    ALL_RETRIES_S,
    DECLINED_CARD,
    counts,
    order,
    order_status,
    place,
    product,
    put,
    shop,
)
from tidegate.testing import Harness

pytestmark = pytest.mark.anyio


async def _review(h: Harness, verdict: str, order_id: str = "o1") -> int:
    answer = await h.client.post(f"/orders/{order_id}/review", json={"verdict": verdict})
    return int(answer.status_code)


async def test_commerce_order_is_paid_and_confirmed() -> None:
    """The happy way: checked, reserved, charged its total, confirmed; its stock is gone."""
    payments = MemoryPayments()
    async with shop(payments) as h:
        await put(h, "products", "cup", product(stock=10, description="blue"))

        await place(h, "o1", order(total=2345, quantity=2, address="5 Main Street"))
        await h.drain()
        record = await h.state("orders", "o1")

        assert h.capture("order.confirmed") == [{"orderId": "o1", "customerId": "c1"}]
        assert [(of, money.amount, money.currency) for of, money in payments.charged] == [
            ("o1", 2345, "EUR")
        ]
        assert (await counts(h), h.capture("order.failed")) == ((8, 0), [])
        assert (record["payment"], record["reservation"]) == ("paid", "used")
        assert record["address"] == "5 Main Street"
        assert (await h.state("products", "cup"))["description"] == "blue"


async def test_commerce_order_emits_what_it_does() -> None:
    """Check, reservation and charge are told with what they are about."""
    async with shop() as h:
        await put(h, "products", "cup", product())

        await place(h, "o1", order())
        await h.drain()
        [check], [reserved] = h.capture("fraud.check"), h.capture("inventory.reserve")

        assert check == {
            "orderId": "o1", "customerId": "c1", "amount": 2000, "currency": "EUR",
            "verdict": "accept", "reasons": [],
        }  # fmt: skip
        assert (reserved["orderId"], reserved["items"]) == ("o1", {"cup": 2})
        assert h.capture("payment.charge") == [{"orderId": "o1"}]


async def test_commerce_order_that_costs_nothing_is_confirmed_without_a_charge() -> None:
    """A total of 0 is nothing that a provider takes."""
    payments = MemoryPayments()
    async with shop(payments) as h:
        await put(h, "products", "cup", product())

        await place(h, "o1", order(total=0))
        await h.drain()

        assert (await order_status(h), payments.charged) == ("confirmed", [])
        assert await counts(h) == (8, 0)


async def test_commerce_order_that_is_missing_fails() -> None:
    """An event without its order is told once, and nothing is dead."""
    async with shop() as h:
        await h.emit("order.placed", {"orderId": "o1"})
        await h.drain()

        [failed] = h.capture("order.failed")
        assert failed["reason"] == "order_missing"
        assert await h.dead() == []


@pytest.mark.parametrize(
    "wrong", [{"total": 20.5}, {"items": []}, {"currency": "euro"}, {"total": -1}]
)
async def test_commerce_order_that_cannot_be_read_fails_once(wrong: dict[str, Any]) -> None:
    """Money in floats, no items: failed with a reason, once, and nothing is reserved."""
    async with shop() as h:
        await put(h, "products", "cup", product())

        await place(h, "o1", order() | wrong)
        await h.emit("order.placed", {"orderId": "o1"})
        await h.drain()

        assert [failed["reason"] for failed in h.capture("order.failed")] == ["order_invalid"]
        assert (await order_status(h), await counts(h)) == ("failed", (10, 0))


async def test_commerce_order_beyond_stock_fails_before_any_money_moves() -> None:
    """Lines of one product count together; nothing is reserved of the others."""
    payments = MemoryPayments()
    async with shop(payments) as h:
        await put(h, "products", "cup", product(stock=3))
        await put(h, "products", "pot", product(stock=9))
        items = [{"productId": name, "quantity": 2, "price": 1} for name in ("pot", "cup", "cup")]

        await place(h, "o1", order() | {"items": items})
        await h.drain()

        [failed] = h.capture("order.failed")
        assert (failed["reason"], failed["orderId"]) == ("out_of_stock", "o1")
        assert failed["error"] == "Something in this order is sold out."
        assert (await counts(h), await counts(h, "pot")) == ((3, 0), (9, 0))
        assert payments.charged == []


async def test_commerce_order_rejected_by_the_check_moves_nothing() -> None:
    """A customer who is blocked gets neither stock nor a charge, and not the reason."""
    payments = MemoryPayments()
    async with shop(payments) as h:
        await put(h, "products", "cup", product())
        await put(h, "fraud", "c1", {"blocked": True})

        await place(h, "o1", order())
        await h.drain()

        [failed] = h.capture("order.failed")
        assert (failed["reason"], "block" in failed["error"]) == ("refused", False)
        assert (payments.charged, await counts(h)) == ([], (10, 0))
        assert h.capture("inventory.reserve") == []


async def test_commerce_order_under_review_waits_for_a_human() -> None:
    """A large order is parked without stock and without a charge until it is accepted."""
    payments = MemoryPayments()
    async with shop(payments, FraudRules(review_from={"EUR": 2000})) as h:
        await put(h, "products", "cup", product())
        await place(h, "o1", order(total=2000))
        await h.emit("order.placed", {"orderId": "o1"})
        await h.tick(7 * 24 * 3600)
        waiting = (await order_status(h), list(payments.charged), await counts(h))

        said = [await _review(h, "accept"), await _review(h, "reject")]
        await h.drain()

        assert waiting == ("review", [], (10, 0))
        assert said == [202, 409]
        assert (await order_status(h), len(payments.charged)) == ("confirmed", 1)
        assert len(h.capture("fraud.check")) == 1


async def test_commerce_order_rejected_by_a_human_fails() -> None:
    """The human's word is final."""
    payments = MemoryPayments()
    async with shop(payments, FraudRules(review_from={})) as h:
        await put(h, "products", "cup", product())
        await place(h, "o1", order())
        await h.drain()

        await _review(h, "reject")
        await h.drain()

        assert (await order_status(h), payments.charged) == ("failed", [])


async def test_commerce_order_review_is_for_the_administrator() -> None:
    """A stranger decides nothing; what is not under review cannot be decided."""
    async with shop() as h:
        await put(h, "products", "cup", product())
        await place(h, "o1", order())

        stranger = await h.client.post(
            "/orders/o1/review", json={"verdict": "accept"}, headers={"Authorization": ""}
        )

        assert stranger.status_code == 401
        assert (await _review(h, "accept"), await _review(h, "accept", "o2")) == (409, 404)


async def test_commerce_order_placed_twice_is_charged_once() -> None:
    """However often each event comes: one reservation, one charge, one confirmation."""
    payments = MemoryPayments()
    async with shop(payments) as h:
        await put(h, "products", "cup", product())

        await place(h, "o1", order())
        for topic in ("order.placed", "payment.charge", "payment.opened"):
            await h.emit(topic, {"orderId": "o1"})
        await h.drain()
        record = await h.state("orders", "o1")
        for topic in ("order.placed", "payment.charge", "payment.opened", "payment.refund"):
            await h.emit(topic, {"orderId": "o1"})
        await h.drain()

        assert await h.state("orders", "o1") == record
        assert len(h.capture("payment.refund")) == 1
        assert (len(payments.charged), payments.refunded) == (1, [])
        assert (await counts(h), len(h.capture("order.confirmed"))) == ((8, 0), 1)
        assert len(h.capture("inventory.reserve")) == 1


@pytest.mark.parametrize("status", ["confirmed", "failed", "cancelled"])
async def test_commerce_order_that_has_ended_stays_so(status: str) -> None:
    """No event wakes an order that is confirmed, failed or cancelled."""
    payments = MemoryPayments()
    async with shop(payments) as h:
        await put(h, "products", "cup", product())

        ended = order(status=status, paymentId="memory-x", payment="declined")
        await place(h, "o1", ended)
        for topic in ("payment.charge", "payment.opened", "payment.refund"):
            await h.emit(topic, {"orderId": "o1"})
        handled = await h.drain()

        assert (handled, await h.state("orders", "o1")) == (4, ended)
        assert (payments.charged, await counts(h)) == ([], (10, 0))


async def test_commerce_order_declined_releases_its_stock_once() -> None:
    """A decline is final: stock back, a reason that may be shown, no further try."""
    async with shop() as h:
        await put(h, "products", "cup", product())

        await place(h, "o1", order(paymentMethod=DECLINED_CARD))
        await h.tick(ALL_RETRIES_S)
        await h.emit("payment.opened", {"orderId": "o1"})
        await h.drain()

        [failed] = h.capture("order.failed")
        assert (failed["reason"], failed["error"]) == ("card_declined", "The card was declined.")
        assert (await counts(h), await order_status(h)) == ((10, 0), "failed")
        assert len((await h.state("fraud", "c1"))["declinedMs"]) == 1


async def test_commerce_order_without_a_means_of_payment_releases_its_stock() -> None:
    """What the provider can never take fails at once."""
    async with shop() as h:
        await put(h, "products", "cup", product())

        await place(h, "o1", order(paymentMethod=""))
        await h.drain()

        [failed] = h.capture("order.failed")
        assert (failed["reason"], await counts(h)) == ("payment_not_possible", (10, 0))
