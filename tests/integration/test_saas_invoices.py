"""Invoices on the real engine: one per month, numbers without a gap, what was used is billed."""

from datetime import UTC, datetime
from typing import Any

import anyio
import pytest

from modules.saas.events import InvoiceOrder
from modules.saas.settings import SaasSettings
from modules.saas.steps import generate_invoice_step
from modules.saas.terms import Terms
from tests.support.saas import ACME, FEBRUARY, of, saas, used
from tidegate.contract import Context

pytestmark = pytest.mark.anyio


async def test_invoice_bills_the_plan_and_what_was_used_beyond_it() -> None:
    """Month, overage, tax and total are exact; the events say where the invoice is."""
    async with saas(now=FEBRUARY) as s:
        await used(s, 90_000, day="2026-01-01")
        await used(s, 33_333, day="2026-01-31")
        await s.bill("2026-01")

        sums = (await s.invoice("acme-00001"))["sums"]
        # 23,333 calls at EUR 0.50 per 1,000 are EUR 11.6665; 19 % of EUR 30.67 are 5.8273
        assert (sums["net_minor"], sums["tax_minor"], sums["total_minor"]) == (30_67, 5_83, 36_50)
        assert s.h.capture("invoice.created") == [
            {
                "tenantId": "acme",
                "invoiceUrl": "/billing/acme/invoices/acme-00001.pdf",
                "amount": 36_50,
                "amountDue": 36_50,
                "currency": "EUR",
                "number": "acme-00001",
                "billingPeriod": "2026-01",
                "dueOn": "2026-02-16",
            }
        ]


async def test_invoice_is_mailed_to_the_tenant() -> None:
    """The e-mail names month, amount and day, and brings the PDF's address."""
    settings = SaasSettings(terms=Terms(public_url="https://api.example"))
    async with saas(now=FEBRUARY, settings=settings) as s:
        await s.bill("2026-01")

        [mail] = s.h.capture("email.send")
        assert (mail["to"], mail["subject"]) == (
            "billing@acme.example",
            "Invoice acme-00001 for January 2026",
        )
        assert "EUR\u00a022.61 is due by 16 February 2026" in mail["text"]
        assert mail["attachments"] == [
            {
                "filename": "acme-00001.pdf",
                "url": "https://api.example/billing/acme/invoices/acme-00001.pdf",
            }
        ]


@pytest.mark.parametrize("email", ["", "nobody", "a@b.example\nBcc: x@y.example", "a b@c.example"])
async def test_invoice_without_an_address_is_made_and_not_mailed(email: str) -> None:
    """A missing or wrong address keeps nobody from being billed, and gets into no header."""
    async with saas(now=FEBRUARY, tenants={"acme": {"plan": "pro", "email": email}}) as s:
        await s.bill("2026-01")

        assert len(s.h.capture("invoice.created")) == 1
        assert s.h.capture("email.send") == []


async def test_invoice_ordered_again_and_again_is_made_once() -> None:
    """Orders that are repeated, before, between and after, change and announce nothing."""
    order = {"tenantId": "acme", "billingPeriod": "2026-01"}
    async with saas(now=FEBRUARY) as s:
        for _ in range(3):
            await s.h.emit("billing.invoice.create", order)
            await s.h.emit("invoice.issued", order)
        await s.h.drain()
        await s.bill("2026-01")
        await s.h.emit("invoice.issued", order)
        await s.h.drain()

        assert (await s.h.dead(), s.printer.printed) == ([], ["acme-00001"])
        assert len(s.h.capture("invoice.created")) == len(s.h.capture("email.send")) == 1
        assert await s.invoice("acme-00002") is None


async def test_invoices_ordered_at_once_have_numbers_without_a_gap() -> None:
    """Eight months in eight transactions at the same time, each twice: 1 to 8, each once."""
    months = [f"2025-{month:02d}" for month in range(1, 9)]
    async with saas(now=FEBRUARY) as s:

        async def bill(month: str) -> None:
            async def run(ctx: Context) -> None:
                await generate_invoice_step.handler(
                    InvoiceOrder("acme", month),
                    ctx,
                    saas_settings=SaasSettings(),
                    invoice_files=s.files,
                    invoice_printer=s.printer,
                )

            await s.h.engine.transact(run)

        with anyio.fail_after(50):
            async with anyio.create_task_group() as tasks:
                for month in months * 2:
                    tasks.start_soon(bill, month)

        listed = (await of(s, "/billing/acme/invoices")).json()["invoices"]
        assert sorted(one["number"] for one in listed) == [f"acme-{n:05d}" for n in range(1, 9)]
        assert sorted(one["billing_period"] for one in listed) == months


async def test_invoice_that_is_refused_takes_no_number() -> None:
    """An order that fails half-way leaves no gap, no closed month and no spent credit."""
    async with saas(now=FEBRUARY, tenants={"acme": {**ACME, "taxRate": "a lot"}}) as s:
        await s.put("credits", "acme", {"minor": 500, "currency": "EUR"})
        await s.bill("2026-01")
        await s.put("tenants", "acme", ACME)
        await s.bill("2025-12")
        [dead] = await s.h.dead()
        await s.h.engine.redrive([dead.id])
        await s.h.drain()

        assert "tax rate" in dead.error
        periods = [(await s.invoice(f"acme-0000{n}"))["billing_period"] for n in (1, 2)]
        assert periods == ["2025-12", "2026-01"]


async def test_numbers_run_per_tenant() -> None:
    """Each tenant has a sequence of its own."""
    async with saas(now=FEBRUARY, tenants={"acme": ACME, "globex": ACME}) as s:
        await s.bill("2025-12")
        await s.bill("2026-01")
        await s.bill("2026-01", "globex")

        numbers = [event["number"] for event in s.h.capture("invoice.created")]
        assert numbers == ["acme-00001", "acme-00002", "globex-00001"]


@pytest.mark.parametrize(
    ("record", "order", "reason"),
    [
        (ACME, {"tenantId": "nobody"}, "is unknown: create it"),
        (ACME, {"tenantId": "../acme"}, "tenantId"),
        (ACME, {"billingPeriod": "January"}, "a month such as '2026-01'"),
        (ACME, {"billingPeriod": "2026-13"}, "a month such as '2026-01'"),
        (ACME, {"billingPeriod": "2026-01\n"}, "a month such as '2026-01'"),
        (ACME, {"billingPeriod": 202601}, "billingPeriod"),
        (ACME, {"billingPeriod": "2026-03"}, "has not begun"),
        ({**ACME, "plan": "gone"}, {}, "known are: enterprise, free, pro, starter"),
        ({**ACME, "currency": "XXX"}, {}, "no price in 'XXX'"),
        ({**ACME, "taxRate": 8.1}, {}, "must be a text"),
        ({**ACME, "taxRate": -19}, {}, "must be a text"),
        ({**ACME, "taxRate": "1e2"}, {}, "must be a text"),
        ({**ACME, "name": "x" * 201}, {}, "length <= 200"),
        ({**ACME, "address": "\n".join("abcdefghi")}, {}, "at most 8 lines"),
        ({"name": "no plan"}, {}, "missing required field `plan`"),
        ("not a record", {}, "Expected `object`"),
    ],
)
async def test_invoice_that_cannot_be_right_is_a_dead_letter(
    record: Any, order: dict[str, Any], reason: str
) -> None:
    """Nothing is billed on a guess: the reason says what to correct."""
    async with saas(now=FEBRUARY, tenants={"acme": record}) as s:
        data = {"tenantId": "acme", "billingPeriod": "2026-01", **order}
        await s.h.emit("billing.invoice.create", data)
        await s.h.drain()

        [dead] = await s.h.dead()
        assert reason in dead.error
        assert (dead.attempts, s.h.capture("invoice.created")) == (1, [])


@pytest.mark.parametrize(
    "spoilt", [{"total": -5}, {"total": 1.5, "/a": 1.5}, [1], {"/a": 3}, "many"]
)
async def test_invoice_of_spoilt_usage_is_a_dead_letter(spoilt: Any) -> None:
    """Negative, broken or inconsistent counts are not billed."""
    async with saas(now=FEBRUARY) as s:
        await s.put("analytics", "usage:acme:2026-01-20", spoilt)
        await s.bill("2026-01")

        [dead] = await s.h.dead()
        assert "stored usage" in dead.error


async def test_invoice_of_absurd_usage_is_a_dead_letter() -> None:
    """An amount that no invoice can have is refused, however it came about."""
    async with saas(now=FEBRUARY) as s:
        await used(s, 2**62)
        await s.bill("2026-01")

        [dead] = await s.h.dead()
        assert "larger than one invoice can have" in dead.error


async def test_invoice_of_a_month_that_is_nearly_over_waits_for_its_end() -> None:
    """A scheduler that sees February first does not cut the evening off the tenant's January."""
    tenant = {**ACME, "timezone": "America/Los_Angeles"}
    async with saas(now=datetime(2026, 2, 1, 0, 1, tzinfo=UTC), tenants={"acme": tenant}) as s:
        await s.bill("2026-01")
        early = await s.invoice("acme-00001")
        await s.h.tick(7 * 3600)
        await s.use(1)
        await s.h.tick(3600)

        assert early is None
        assert (await s.invoice("acme-00001"))["calls"] == 1
        assert (await s.invoice("acme-00001"))["issued_on"] == "2026-02-01"


async def test_invoice_long_before_the_months_end_closes_it_early() -> None:
    """What a leaving tenant uses after its last invoice is billed with the month after."""
    async with saas() as s:
        await s.use(2)
        await s.bill("2026-01")
        await s.use(3)
        await s.h.tick(20 * 86_400)
        await s.bill("2026-02")

        bills = [(await s.invoice(f"acme-0000{n}"))["calls"] for n in (1, 2)]
        assert bills == [2, 3]
