"""Who sells and on which terms, as the settings say. Pure."""

from typing import Annotated

import msgspec
from msgspec import Meta

_Days = Annotated[int, Meta(ge=1, le=36_500)]
_EXAMPLE = "Example Seller Ltd"


class Seller(msgspec.Struct, frozen=True):
    """Who issues the invoices, with what the law wants printed on them."""

    name: str = _EXAMPLE
    address: tuple[str, ...] = ("1 Example Street", "12345 Example City", "Germany")
    vat_id: str = ""
    tax_number: str = ""
    register: str = ""
    email: str = ""
    phone: str = ""
    bank: str = ""
    iban: str = ""
    bic: str = ""

    @property
    def is_example(self) -> bool:
        """Tell whether nobody has said who sells."""
        return self.name == _EXAMPLE


class Terms(msgspec.Struct, frozen=True):
    """How it is billed; the tax rate is a text in percent, for tenants whose record has none.

    Usage stays for `usage_days` after it was invoiced. A call's own time may be `late_days` old;
    a `requestId` is remembered for a day longer than that.
    """

    currency: str = "EUR"
    tax_name: str = "VAT"
    tax_rate: str = "19"
    payment_days: _Days = 14
    usage_days: _Days = 400
    late_days: Annotated[int, Meta(ge=1, le=400)] = 7
    print_timeout_s: Annotated[int, Meta(ge=1, le=600)] = 60
    public_url: str = ""
