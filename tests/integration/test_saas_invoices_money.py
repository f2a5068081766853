"""What an invoice comes to: credit, currencies, taxes, nothing."""

from typing import Any

import msgspec
import pytest

from tests.support.saas import ACME, FEBRUARY, saas, used

pytestmark = pytest.mark.anyio


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
