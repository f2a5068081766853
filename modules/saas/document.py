"""From an invoice to HTML by Jinja2; whatever tenants wrote is escaped."""

from functools import partial
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined

from modules.saas.invoice import Invoice
from modules.saas.money import money_text
from modules.saas.wording import date_text, period_text, price_text


def template(name: str) -> str:
    """Return the text of a bundled template."""
    return files("modules.saas").joinpath("templates", name).read_text(encoding="utf-8")


def html_of(invoice: Invoice) -> str:
    """Return the invoice's HTML: the same text for the same invoice."""
    environment = Environment(
        loader=FunctionLoader(template),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("invoice.html").render(invoice=invoice, **_words(invoice))


def _words(invoice: Invoice) -> dict[str, Any]:
    return {
        "money": partial(money_text, currency=invoice.currency),
        "price": partial(price_text, currency=invoice.currency),
        "day": date_text,
        "period": period_text(invoice.first_day, invoice.last_day),
        "sums": invoice.sums,
        "seller": invoice.seller,
        "buyer": invoice.buyer,
    }
