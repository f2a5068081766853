"""How an invoice writes days, periods and prices. Pure."""

from datetime import date

from modules.saas.charges import Line
from modules.saas.events import Attachment, Mail
from modules.saas.invoice import Issued
from modules.saas.money import money_text

# Not strftime: its names follow the machine's locale, and a reprint must say the same anywhere.
_NAMES = "January February March April May June July August September October November December"
_MONTHS = _NAMES.split()


def date_text(day: date) -> str:
    """Write a day as `1 January 2026`, which no reader takes for another one."""
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


def period_text(first: date, last: date) -> str:
    """Write a period with both its days."""
    return f"{date_text(first)} \u2013 {date_text(last)}"


def price_text(line: Line, currency: str) -> str:
    """Write a line's price; one for many calls says for how many."""
    price = money_text(line.price_minor, currency)
    return price if line.per == 1 else f"{price} per {line.per:,}"


def mail_of(issued: Issued) -> Mail:
    """Return the e-mail that brings an invoice."""
    invoice = issued.invoice
    month = f"{_MONTHS[invoice.first_day.month - 1]} {invoice.first_day.year}"
    due = money_text(invoice.sums.due_minor, invoice.currency)
    pay = f"{due} is due by {date_text(invoice.due_on)}." if invoice.sums.due_minor else ""
    return Mail(
        to=issued.mail_to,
        subject=f"Invoice {invoice.number} for {month}",
        text=(
            f"Dear {invoice.buyer.name},\n\n"
            f"your invoice {invoice.number} for {month} is ready: {issued.url}\n"
            f"{pay or 'There is nothing to pay.'}\n\n{invoice.seller.name}\n"
        ),
        attachments=[Attachment(f"{invoice.number}.pdf", issued.url)],
        tenant_id=invoice.tenant_id,
        invoice_number=invoice.number,
    )
