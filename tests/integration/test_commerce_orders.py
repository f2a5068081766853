"""Orders from placed to their end: stock, verdicts, money, and everything that comes between."""

from typing import Any

import anyio
import pytest

from modules.commerce.fraud import FraudRules
from modules.commerce.payments.memory import MemoryPayments
from tests.support.commerce import (
    DECLINED_CARD,
    FailingPayments,
    counts,
    order,
    place,
    product,
    put,
    shop,
)
from tests.support.steps import until
from tidegate.contract import Context
from tidegate.engine.worker import Worker
from tidegate.testing import Harness
from tidegate.testing.crashes import crash_everywhere

pytestmark = pytest.mark.anyio

_ALL_RETRIES_S = 3600.0


async def _status(h: Harness, order_id: str = "o1") -> str:
    return str((await h.state("orders", order_id))["status"])


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

        assert (await _status(h), payments.charged) == ("confirmed", [])
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
        assert (await _status(h), await counts(h)) == ("failed", (10, 0))


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
        waiting = (await _status(h), list(payments.charged), await counts(h))

        said = [await _review(h, "accept"), await _review(h, "reject")]
        await h.drain()

        assert waiting == ("review", [], (10, 0))
        assert said == [202, 409]
        assert (await _status(h), len(payments.charged)) == ("confirmed", 1)
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

        assert (await _status(h), payments.charged) == ("failed", [])


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
        await h.tick(_ALL_RETRIES_S)
        await h.emit("payment.opened", {"orderId": "o1"})
        await h.drain()

        [failed] = h.capture("order.failed")
        assert (failed["reason"], failed["error"]) == ("card_declined", "The card was declined.")
        assert (await counts(h), await _status(h)) == ((10, 0), "failed")
        assert len((await h.state("fraud", "c1"))["declinedMs"]) == 1


async def test_commerce_order_without_a_means_of_payment_releases_its_stock() -> None:
    """What the provider can never take fails at once."""
    async with shop() as h:
        await put(h, "products", "cup", product())

        await place(h, "o1", order(paymentMethod=""))
        await h.drain()

        [failed] = h.capture("order.failed")
        assert (failed["reason"], await counts(h)) == ("payment_not_possible", (10, 0))


@pytest.mark.parametrize("call", ["open", "charge"])
@pytest.mark.parametrize("kind", ["away", "lost"])
async def test_commerce_order_survives_a_provider_that_is_away(call: str, kind: str) -> None:
    """Asked again until it answers; what it did before its answer got lost is done once."""
    payments = FailingPayments()
    getattr(payments, kind)[call] = 5
    async with shop(payments) as h:
        await put(h, "products", "cup", product())

        await place(h, "o1", order())
        await h.tick(_ALL_RETRIES_S)

        assert await _status(h) == "confirmed"
        assert len(payments.memory.charged) == 1
        assert len(set(payments.keys)) == 1
        assert (await counts(h), await h.dead()) == ((8, 0), [])


@pytest.mark.parametrize("call", ["open", "charge"])
async def test_commerce_order_fails_when_the_provider_stays_away(call: str) -> None:
    """After the last try the stock is free again, once, and nobody was charged."""
    payments = FailingPayments()
    payments.away[call] = 1000
    async with shop(payments) as h:
        await put(h, "products", "cup", product())

        await place(h, "o1", order())
        await h.tick(_ALL_RETRIES_S)

        [failed] = h.capture("order.failed")
        assert failed["reason"] == "payment_unavailable"
        assert (await counts(h), payments.memory.charged) == ((10, 0), [])


async def test_commerce_order_given_up_gives_back_what_was_taken_all_the_same() -> None:
    """When every answer to the charge got lost the order fails, and the money goes back once."""
    payments = FailingPayments()
    payments.lost = {"charge": 1000, "give_back": 3}
    async with shop(payments) as h:
        await put(h, "products", "cup", product())

        await place(h, "o1", order())
        await h.tick(2 * _ALL_RETRIES_S)
        record = await h.state("orders", "o1")

        assert (record["status"], record["payment"]) == ("failed", "refunded")
        assert payments.memory.refunded == ["o1"]
        assert h.capture("payment.refunded") == [
            {"orderId": "o1", "amount": 2000, "currency": "EUR"}
        ]


async def test_commerce_order_cancelled_while_its_card_is_charged_is_refunded() -> None:
    """A cancellation that comes in between wins: no confirmation, and the money goes back."""
    payments = FailingPayments()
    async with shop(payments) as h:
        await put(h, "products", "cup", product())

        async def cancel() -> None:
            async def write(ctx: Context) -> None:
                record = await ctx.state.get("orders", "o1")
                await ctx.state.set("orders", "o1", {**record, "status": "cancelled"})

            await h.engine.transact(write)

        payments.during["charge"] = cancel
        await place(h, "o1", order())
        await h.tick(_ALL_RETRIES_S)
        record = await h.state("orders", "o1")

        assert (record["status"], record["payment"]) == ("cancelled", "refunded")
        assert payments.memory.refunded == ["o1"]
        assert h.capture("order.confirmed") == []


@pytest.mark.parametrize("call", ["open", "charge"])
async def test_commerce_order_conflict_asks_the_provider_no_second_time(call: str) -> None:
    """The order's record changes while the provider works: run again, asked once."""
    payments = FailingPayments()
    async with shop(payments) as h:
        await put(h, "products", "cup", product())

        async def note() -> None:
            await put(h, "orders", "o1", {**await h.state("orders", "o1"), "note": "a gift"})

        payments.during[call] = note
        await place(h, "o1", order())
        await h.drain()
        record = await h.state("orders", "o1")

        assert (record["status"], record["note"]) == ("confirmed", "a gift")
        assert payments.calls == {"open": 1, "charge": 1}


async def test_commerce_order_survives_a_crash_between_charge_and_commit() -> None:
    """The process dies when the money was taken and nobody knows: another one charges nothing."""
    payments = FailingPayments()
    async with shop(payments) as h:
        await put(h, "products", "cup", product())
        payments.during["charge"] = anyio.sleep_forever
        await place(h, "o1", order())

        async with anyio.create_task_group() as process:
            process.start_soon(h.drain)
            await until(lambda: bool(payments.memory.charged))
            process.cancel_scope.cancel()
        crashed = await _status(h)
        await h.tick(600)

        assert (crashed, await _status(h)) == ("charging", "confirmed")
        assert (len(payments.memory.charged), await counts(h)) == (1, (8, 0))


@pytest.mark.slow
async def test_commerce_order_survives_a_crash_between_any_two_operations() -> None:
    """Wherever the process dies: one charge, one reservation, one end."""
    made: list[MemoryPayments] = []

    def make() -> Harness:
        made.append(MemoryPayments())
        return shop(made[-1])

    async def scenario(h: Harness) -> None:
        async def begin(ctx: Context) -> None:
            await ctx.state.set("products", "cup", product())
            await ctx.state.set("orders", "o1", order())
            await ctx.emit("order.placed", {"orderId": "o1"})

        await h.engine.transact(begin)
        await h.drain()

    async def check(h: Harness) -> None:
        begun = await h.state("orders", "o1") is not None
        assert len(made[-1].charged) == begun
        if begun:
            assert (await _status(h), await counts(h)) == ("confirmed", (8, 0))
        assert len(h.capture("order.confirmed")) <= 1

    deaths = await crash_everywhere(make, scenario, check)

    assert deaths > 6


async def test_commerce_order_events_handled_twice_at_once_charge_once() -> None:
    """Two workers with the same event, as after a lost lease: one of them commits."""
    payments = FailingPayments()
    async with shop(payments) as h:
        await put(h, "products", "cup", product())
        for step in ("ProcessOrder", "OpenPayment", "ChargePayment"):
            h.faults.duplicate(step)

        await place(h, "o1", order())
        await h.drain()

        assert (await _status(h), await counts(h)) == ("confirmed", (8, 0))
        assert (len(payments.memory.charged), len(h.capture("order.confirmed"))) == (1, 1)


async def test_commerce_order_cancelled_before_its_charge_is_not_charged() -> None:
    """A payment that was only opened is made void."""
    payments = FailingPayments()
    payments.away["charge"] = 1
    async with shop(payments) as h:
        await put(h, "products", "cup", product())
        await place(h, "o1", order())
        await h.drain()

        record = await h.state("orders", "o1")
        await put(h, "orders", "o1", {**record, "status": "cancelled"})
        await h.tick(_ALL_RETRIES_S)

        assert (await h.state("orders", "o1"))["payment"] == "void"
        assert (payments.memory.charged, payments.memory.refunded) == ([], [])


async def test_commerce_orders_of_one_customer_in_a_rush_are_looked_at() -> None:
    """The sixth order within an hour is for a human; an hour later none is."""
    async with shop() as h:
        await put(h, "products", "cup", product(stock=100))

        for number in range(6):
            await place(h, f"o{number}", order())
            await h.drain()
        await h.tick(3600)
        await place(h, "late", order())
        await h.drain()

        assert [await _status(h, f"o{number}") for number in (4, 5)] == ["confirmed", "review"]
        assert await _status(h, "late") == "confirmed"


async def test_commerce_orders_at_the_same_time_share_the_last_pieces() -> None:
    """64 orders for 20 pieces, all at once: 20 are confirmed, stock ends at 0 and never below."""
    payments = MemoryPayments()
    async with shop(payments) as h, anyio.create_task_group() as tasks:
        await put(h, "products", "cup", product(stock=20))
        tasks.start_soon(Worker(h.engine).run)

        async with anyio.create_task_group() as customers:
            for number in range(64):
                record = order(total=1000, quantity=1, customerId=f"c{number}")
                customers.start_soon(place, h, f"o{number}", record)
        ended: list[Any] = h.capture("order.confirmed")
        failed = h.capture("order.failed")
        await until(lambda: len(ended) + len(failed) == 64, timeout_s=45)
        tasks.cancel_scope.cancel()

        assert (len(ended), len(payments.charged), await counts(h)) == (20, 20, (0, 0))
        assert {event["reason"] for event in failed} == {"out_of_stock"}
