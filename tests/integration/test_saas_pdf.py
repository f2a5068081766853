"""Real PDFs of invoices, read back."""

from collections.abc import Iterable
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pypdf import PdfReader

from modules.saas.charges import Line, calculate_charges
from modules.saas.invoice import REVERSE_CHARGE, Invoice, Order, add_up, make_invoice
from modules.saas.periods import Period
from modules.saas.plans import plan_of
from modules.saas.printing import ProcessPrinter
from modules.saas.settings import SaasSettings
from modules.saas.steps.step_resources import resources
from modules.saas.tenants import Customer
from modules.saas.terms import Seller, Terms
from modules.saas.typeset import typeset
from tidegate.printing.errors import PrintFailed

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

SELLER = Seller(
    name="Tidal Metering GmbH",
    address=("Hafenstra\u00dfe 12", "20457 Hamburg", "Germany"),
    vat_id="DE123456789",
    tax_number="48/123/45678",
    register="Amtsgericht Hamburg, HRB 12345",
    email="billing@tidal.example",
    iban="DE02 2005 0550 1015 8717 96",
    bic="HASPDEHHXXX",
)
CUSTOMER = Customer(
    "pro",
    timezone="Europe/Berlin",
    name="M\u00fcller & S\u00f6hne KG",
    address=["Lange Stra\u00dfe 5", "80331 M\u00fcnchen"],
    vat_id="DE987654321",
)
CALLS = 3_456_789


def invoice_of(customer: Customer = CUSTOMER, *, credit_minor: int = 50_00) -> Invoice:
    """Make an invoice of January."""
    plan = plan_of(SaasSettings().catalogue, "pro")
    currency = customer.currency or "EUR"
    return make_invoice(
        Order("acme", Period(2026, 1), CALLS, plan.included_calls),
        customer,
        calculate_charges(plan, CALLS, currency=currency, tax_rate="19"),
        sequence=7,
        credit_minor=credit_minor,
        seller=SELLER,
        terms=Terms(),
        now=datetime(2026, 2, 1, 9, tzinfo=UTC),
    )


def text_of(pdf: bytes) -> str:
    """Return the text of all pages, spaces made plain."""
    pages = PdfReader(BytesIO(pdf)).pages
    return " ".join(" ".join(page.extract_text() for page in pages).split())


def missing(wanted: Iterable[str], text: str) -> list[str]:
    """Return what is not in the text."""
    return [one for one in wanted if one not in text]


async def test_pdf_shows_all_that_the_law_wants() -> None:
    """Both parties, number, dates, period, lines, tax per rate, sums and where to pay."""
    pdf = await ProcessPrinter(timeout_s=60)(invoice_of())

    wanted = [
        "Tidal Metering GmbH", "Hafenstra\u00dfe 12", "20457 Hamburg", "VAT ID DE123456789",
        "Tax number 48/123/45678", "HRB 12345", "M\u00fcller & S\u00f6hne KG", "80331 M\u00fcnchen",
        "VAT ID DE987654321", "acme-00007", "1 February 2026", "15 February 2026",
        "1 January 2026 \u2013 31 January 2026", "Pro plan, one month", "EUR 99.00",
        "1,000,000 EUR 0.40 per 1,000 19 % EUR 400.00",
        "1,456,789 EUR 0.25 per 1,000 19 % EUR 364.20",
        "Net total EUR 863.20", "VAT 19 % EUR 164.01", "Total EUR 1,027.21",
        "19 % EUR 863.20 EUR 164.01 EUR 1,027.21", "Paid from credit EUR \u221250.00",
        "Amount due EUR 977.21", "IBAN DE02 2005 0550 1015 8717 96", "Page 1 of 1",
    ]  # fmt: skip
    assert missing(wanted, text_of(pdf)) == []


def test_pdf_is_tagged_a4_with_its_fonts_inside() -> None:
    """It reads and prints the same everywhere, also aloud, without anything from outside."""
    pdf = typeset(invoice_of())

    reader = PdfReader(BytesIO(pdf))
    root: Any = reader.root_object
    page: Any = reader.pages[0]
    fonts = [font.get_object() for font in page["/Resources"]["/Font"].values()]
    inside = [
        "/FontFile2" in part.get_object()["/FontDescriptor"]
        for font in fonts
        for part in font["/DescendantFonts"]
    ]
    assert (round(page.mediabox.width), round(page.mediabox.height)) == (595, 842)
    assert (bool(root["/MarkInfo"]["/Marked"]), str(root["/Lang"])) == (True, "en")
    assert reader.metadata is not None
    assert reader.metadata.title == "Invoice acme-00007"
    assert inside
    assert all(inside)


async def test_pdf_is_the_same_bytes_whenever_it_is_printed() -> None:
    """Two processes make one file of one invoice, and another of another."""
    printer, invoice = ProcessPrinter(timeout_s=60), invoice_of()

    first, again = await printer(invoice), await printer(invoice)
    other = await printer(msgspec.structs.replace(invoice, number="acme-00008"))

    assert first == again != other


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)</script><img src='file:///etc/passwd'>",
        "</title><h1>Paid</h1>",
        "{{ 7*7 }} {% raw %}",
        "&amp; \"quoted\" 'name'",
        "\u0394\u03b5\u03bb\u03c4\u03b1 \u0414\u0435\u043b\u044c\u0442\u0430 \u0141\u00f3d\u017a",
    ],
)
def test_pdf_prints_names_as_they_are(name: str) -> None:
    """HTML and templates in names are text; whatever address is in them is not fetched."""
    customer = Customer("pro", name=name, address=(name, "<b>bold</b>"))

    text = text_of(typeset(invoice_of(customer))).replace(" ", "")

    assert text.count(name.replace(" ", "")) == 2
    assert "<b>bold</b>" in text


@pytest.mark.parametrize(
    "name", ["\u202e\u05de\u05d3 abc", "\u6f22\u5b57 \U0001f6b0", "W" * 200, "\x00\x07\x1b\ufffe"]
)
def test_pdf_of_strange_names_is_still_an_invoice(name: str) -> None:
    """Right to left, without a glyph, without a space, controls: the sums stay readable."""
    customer = Customer("pro", name=name, address=[name] * 8)

    text = text_of(typeset(invoice_of(customer)))

    assert missing(["Amount due EUR 977.21", "acme-00007"], text) == []


def test_pdf_of_many_lines_and_rates_goes_over_pages() -> None:
    """Every line is there, each rate has its own tax, and pages say which they are."""
    rates = ("0", "7", "8.1", "19")
    lines = tuple(Line(f"Line no. {n};", 1, n, 1, n, rates[n % 4]) for n in range(1, 101))
    invoice = msgspec.structs.replace(
        invoice_of(), lines=lines, sums=add_up(lines), notes=(REVERSE_CHARGE,)
    )

    pdf = typeset(invoice)

    each = [page.extract_text() for page in PdfReader(BytesIO(pdf)).pages]
    text, pages = text_of(pdf), len(each)
    assert pages > 1
    assert all("VAT ID DE123456789" in page for page in each)
    taxes = [f"{t.rate} % EUR {t.net_minor / 100:.2f}" for t in invoice.sums.taxes]
    assert missing([f"Line no. {n};" for n in range(1, 101)], text) == []
    assert missing([*taxes, "Reverse charge", f"Page {pages} of {pages}"], text) == []


def test_pdf_of_an_invoice_of_nothing_asks_for_nothing() -> None:
    """With all paid from credit there is no bank account on it."""
    text = text_of(typeset(invoice_of(credit_minor=10**9)))

    assert missing(["Amount due EUR 0.00", "Nothing is to be paid"], text) == []
    assert "IBAN" not in text


async def test_printing_that_takes_too_long_is_ended() -> None:
    """The process is killed and the step told, so that it can try again."""
    # Long enough to start a process, too short to load what it needs.
    with pytest.raises(PrintFailed, match="longer than"):
        await ProcessPrinter(timeout_s=0.3)(invoice_of())


async def test_resources_of_the_folder_print_into_the_data_folder(tmp_path: Path) -> None:
    """What the steps get by name works together."""
    async with resources(tmp_path) as given:
        files, printer = given["invoice_files"], given["invoice_printer"]
        content = await printer(invoice_of())  # type: ignore[operator] # by name, as steps get it
        await files.write("acme", "acme-00007", content)  # type: ignore[attr-defined]

    kept = (tmp_path / "invoices" / "acme" / "acme-00007.pdf").read_bytes()
    assert set(given) == {"saas_settings", "invoice_files", "invoice_printer"}
    assert kept.startswith(b"%PDF-")
