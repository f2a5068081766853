"""From an invoice to a PDF. Runs in its own process."""

from modules.saas.document import html_of, template
from modules.saas.invoice import Invoice
from tidegate.printing.style import Style


def typeset(invoice: Invoice) -> bytes:
    """Return the invoice as a tagged PDF: the same bytes for the same invoice."""
    return Style(template("invoice.css")).pdf(html_of(invoice), identifier=invoice.digest)
