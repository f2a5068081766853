"""The PDF of an invoice: printed again when that failed, given to its tenant only."""

import pytest

from tests.support.saas import ACME, FEBRUARY, of, saas

pytestmark = pytest.mark.anyio


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
