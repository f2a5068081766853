"""Invoices on the real engine: one per month, numbers without a gap, what was used is billed."""

from datetime import UTC, datetime
from typing import Any

import anyio
import msgspec
import pytest

from modules.saas.events import InvoiceOrder
from modules.saas.settings import SaasSettings
from modules.saas.steps import generate_invoice_step
from modules.saas.terms import Terms
from tests.support.saas import ACME, Saas, saas
from tidegate.contract import Context

pytestmark = pytest.mark.anyio

FEBRUARY = datetime(2026, 2, 2, 9, tzinfo=UTC)


async def used(s: Saas, calls: int, *, tenant_id: str = "acme", day: str = "2026-01-20") -> None:
    """Let the tenant have used that much on a day, without counting one by one."""
    await s.put("analytics", f"usage:{tenant_id}:{day}", {"/users": calls, "total": calls})


def of(s: Saas, path: str, tenant_id: str = "acme") -> Any:
    """Get a path as a caller of a tenant; await it."""
    return s.h.client.get(path, headers={"x-of-tenant": tenant_id})


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


async def test_invoice_whose_printing_fails_is_printed_later_as_it_was_issued() -> None:
    """A retry prints the invoice that was issued: neither a second one nor other figures."""
    async with saas(now=FEBRUARY, failures=3) as s:
        await s.bill("2026-01")
        before = await s.invoice("acme-00001")
        waiting = await of(s, "/billing/acme/invoices/acme-00001.pdf")
        await s.put("tenants", "acme", {**ACME, "name": "Renamed Ltd", "plan": "pro"})
        await s.h.tick(60)

        assert waiting.status_code == 202
        assert await s.invoice("acme-00001") == before
        assert s.printer.printed == ["acme-00001"]
        assert len(s.h.capture("invoice.created")) == 1


async def test_invoice_whose_printing_fails_for_good_is_finished_by_a_redrive() -> None:
    """When the operator has mended the printer, a redrive of the dead letter is enough."""
    async with saas(now=FEBRUARY, failures=8) as s:
        await s.bill("2026-01")
        await s.h.tick(3600)
        [dead] = await s.h.dead()
        nothing = list(s.h.capture("invoice.created"))
        await s.h.engine.redrive([dead.id])
        await s.h.drain()

        assert (dead.error, dead.attempts, nothing) == ("PrintFailed: no paper", 8, [])
        assert [event["number"] for event in s.h.capture("invoice.created")] == ["acme-00001"]


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


async def test_invoice_is_paid_from_credit_as_far_as_there_is_one() -> None:
    """A credit pays the total, the rest of it stays; then there is nothing to pay."""
    async with saas(now=FEBRUARY) as s:
        await s.put("credits", "acme", {"minor": 30_00, "currency": "EUR"})
        await s.bill("2025-12")
        await s.bill("2026-01")

        sums = [(await s.invoice(f"acme-0000{n}"))["sums"] for n in (1, 2)]
        assert [(one["credit_minor"], one["due_minor"]) for one in sums] == [
            (22_61, 0),
            (7_39, 15_22),
        ]
        assert await s.h.state("credits", "acme") == {"minor": 0, "currency": "EUR"}
        assert "There is nothing to pay." in s.h.capture("email.send")[0]["text"]


@pytest.mark.parametrize("credit", [None, {"minor": 0}, {"minor": 0, "currency": "USD"}])
async def test_credit_of_nothing_changes_nothing(credit: Any) -> None:
    """No credit and an empty one, in whatever currency, are the same."""
    async with saas(now=FEBRUARY) as s:
        await s.put("credits", "acme", credit)
        await s.bill("2026-01")

        sums = (await s.invoice("acme-00001"))["sums"]
        assert (sums["credit_minor"], sums["due_minor"]) == (0, 22_61)


@pytest.mark.parametrize(
    "credit", [{"minor": 5, "currency": "USD"}, {"minor": -5}, {"minor": 1.5}, 7]
)
async def test_credit_that_makes_no_sense_is_not_spent(credit: Any) -> None:
    """A credit in another currency, negative or broken stops the invoice with a reason."""
    async with saas(now=FEBRUARY) as s:
        await s.put("credits", "acme", credit)
        await s.bill("2026-01")

        [dead] = await s.h.dead()
        assert "credit of tenant 'acme'" in dead.error


async def test_invoice_of_a_free_plan_without_usage_is_an_invoice_of_nothing() -> None:
    """The month is closed by an invoice all the same, so that the sequence says all."""
    async with saas(now=FEBRUARY, tenants={"acme": {"plan": "free"}}) as s:
        await s.bill("2026-01")

        sums = (await s.invoice("acme-00001"))["sums"]
        assert (sums["total_minor"], sums["due_minor"]) == (0, 0)


async def test_invoice_in_yen_has_no_smaller_unit() -> None:
    """In a currency without cents the amounts are whole yen, rounded once."""
    tenant = {**ACME, "currency": "JPY", "taxRate": "10"}
    async with saas(now=FEBRUARY, tenants={"acme": tenant}) as s:
        await used(s, 100_010)
        await s.bill("2026-01")

        sums = (await s.invoice("acme-00001"))["sums"]
        # 10 calls at 50 yen per 1,000 are half a yen: one
        assert (sums["net_minor"], sums["tax_minor"], sums["total_minor"]) == (1901, 190, 2091)


async def test_invoice_under_reverse_charge_has_no_tax_and_says_why() -> None:
    """The recipient owes the tax, and the law wants that written."""
    tenant = {**ACME, "reverseCharge": True, "vatId": "FR12345678901", "taxRate": "20"}
    async with saas(now=FEBRUARY, tenants={"acme": tenant}) as s:
        await s.bill("2026-01")

        invoice = await s.invoice("acme-00001")
        assert (invoice["sums"]["tax_minor"], invoice["lines"][0]["tax_rate"]) == (0, "0")
        assert "Reverse charge" in invoice["notes"][0]


async def test_pdf_is_given_to_its_tenant_only() -> None:
    """Another tenant's caller and a stranger get nothing, nor does a number lead elsewhere."""
    async with saas(now=FEBRUARY, tenants={"acme": ACME, "globex": ACME}) as s:
        await s.bill("2026-01")
        path = "/billing/acme/invoices/acme-00001.pdf"
        own = await of(s, path)
        answers = [
            await of(s, path, "globex"),
            await of(s, "/billing/globex/invoices/acme-00001.pdf", "globex"),
            await of(s, "/billing/acme/invoices", "globex"),
            await of(s, "/billing/acme/invoices/..%2Fglobex%2Fx.pdf"),
            await s.h.client.get(path, headers={"authorization": "", "x-of-tenant": "acme"}),
        ]

        assert (own.status_code, own.content) == (200, s.files.kept[("acme", "acme-00001")])
        assert own.headers["content-type"] == "application/pdf"
        assert own.headers["content-disposition"] == 'inline; filename="acme-00001.pdf"'
        assert [answer.status_code for answer in answers] == [404, 404, 404, 404, 401]


async def test_pdf_that_was_lost_is_printed_again_with_the_same_bytes() -> None:
    """A reprint says what was issued, also when the tenant has moved and pays more since."""
    async with saas(now=FEBRUARY) as s:
        await s.bill("2026-01")
        first = s.files.kept.pop(("acme", "acme-00001"))
        await s.put("tenants", "acme", {**ACME, "name": "Moved Ltd", "plan": "pro"})
        again = await of(s, "/billing/acme/invoices/acme-00001.pdf")

        assert again.content == first == s.files.kept[("acme", "acme-00001")]


async def test_pdf_that_cannot_be_printed_now_is_503() -> None:
    """The caller is told to come again; why it failed is no business of his."""
    async with saas(now=FEBRUARY) as s:
        await s.bill("2026-01")
        s.files.kept.clear()
        s.printer.failures = 1
        answer = await of(s, "/billing/acme/invoices/acme-00001.pdf")

        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert "paper" not in answer.text


async def test_invoices_are_kept_without_a_float() -> None:
    """Money stays whole on its way through state and events."""
    async with saas(now=FEBRUARY) as s:
        await used(s, 123_457)
        await s.bill("2026-01")

        texts = [await s.invoice("acme-00001"), *s.h.capture("invoice.created")]
        assert not list(_floats(msgspec.to_builtins(texts)))


def _floats(value: Any) -> Any:
    if isinstance(value, float):
        yield value
    for item in (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    ):
        yield from _floats(item)
