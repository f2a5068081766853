"""Orders when the provider is away, processes crash, and things happen twice or at once."""

from typing import Any

import anyio
import pytest

from modules.commerce.payments.memory import MemoryPayments
from tests.support.commerce import (
    ALL_RETRIES_S,
    FailingPayments,
    counts,
    order,
    order_status,
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


@pytest.mark.parametrize("call", ["open", "charge"])
@pytest.mark.parametrize("kind", ["away", "lost"])
async def test_commerce_order_survives_a_provider_that_is_away(call: str, kind: str) -> None:
    """Asked again until it answers; what it did before its answer got lost is done once."""
    payments = FailingPayments()
    getattr(payments, kind)[call] = 5
    async with shop(payments) as h:
        await put(h, "products", "cup", product())

        await place(h, "o1", order())
        await h.tick(ALL_RETRIES_S)

        assert await order_status(h) == "confirmed"
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
        await h.tick(ALL_RETRIES_S)

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
        await h.tick(2 * ALL_RETRIES_S)
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
        await h.tick(ALL_RETRIES_S)
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
        crashed = await order_status(h)
        await h.tick(600)

        assert (crashed, await order_status(h)) == ("charging", "confirmed")
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
            assert (await order_status(h), await counts(h)) == ("confirmed", (8, 0))
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

        assert (await order_status(h), await counts(h)) == ("confirmed", (8, 0))
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
        await h.tick(ALL_RETRIES_S)

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

        assert [await order_status(h, f"o{number}") for number in (4, 5)] == ["confirmed", "review"]
        assert await order_status(h, "late") == "confirmed"


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
