"""What a tenant's record in the state group `tenants` says. Pure."""

import re
from collections.abc import Sequence
from typing import Annotated, Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Meta

from modules.saas.errors import Rejected

GROUP = "tenants"

# No ':' and no '*': ids are parts of state keys. No '/' and no leading '.': and of file names.
TENANT_ID = r"^[A-Za-z0-9][A-Za-z0-9_.\-]{0,63}\Z"
TenantId = Annotated[str, Meta(pattern=TENANT_ID)]

_Text = Annotated[str, Meta(max_length=200)]
_EMAIL = re.compile(r"[^\s@<>,;\"]{1,64}@[^\s@<>,;\"]{1,255}")
_MAX_ADDRESS_LINES = 8

R = TypeVar("R", bound=msgspec.Struct)


class Metered(msgspec.Struct, frozen=True, rename="camel"):
    """What metering needs: nothing of an address or a tax can keep a call from being counted."""

    plan: _Text
    timezone: _Text = "UTC"

    @property
    def zone(self) -> ZoneInfo:
        """The zone in which the tenant's days and months are reckoned."""
        return zone_of(self.timezone)


class Customer(Metered, frozen=True, rename="camel"):
    """What an invoice needs. What is absent comes from the settings."""

    name: _Text = ""
    address: Sequence[_Text] | Annotated[str, Meta(max_length=1600)] = ()
    vat_id: Annotated[str, Meta(max_length=40)] = ""
    email: _Text = ""
    billing_email: _Text = ""
    currency: Annotated[str, Meta(max_length=3)] = ""
    tax_rate: str | int | float | None = None
    reverse_charge: bool = False

    @property
    def address_lines(self) -> tuple[str, ...]:
        """The postal address, a line each."""
        lines = self.address.splitlines() if isinstance(self.address, str) else self.address
        written = tuple(line.strip() for line in lines if line.strip())
        if len(written) > _MAX_ADDRESS_LINES:
            raise Rejected(f"an address has at most {_MAX_ADDRESS_LINES} lines: shorten it")
        return written

    @property
    def mail_to(self) -> str:
        """Where invoices go, '' when the tenant gave no usable address."""
        address = self.billing_email or self.email
        return address if _EMAIL.fullmatch(address) else ""


def tenant_as(kind: type[R], tenant_id: str, record: Any) -> R:
    """Read a tenant's record.

    Raises:
        Rejected: there is none, or it does not fit; redrive the event once that is corrected.
    """
    if record is None:
        raise Rejected(f"tenant '{tenant_id}' is unknown: create it, then redrive this event")
    try:
        return msgspec.convert(record, kind)
    except msgspec.ValidationError as exc:
        raise Rejected(f"the record of tenant '{tenant_id}' is wrong: {exc}") from exc


def zone_of(name: str) -> ZoneInfo:
    """Return an IANA zone; raise `Rejected` when there is none of that name."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
        raise Rejected(
            f"timezone {name[:40]!r} is unknown: use an IANA name such as 'Europe/Berlin'"
        ) from exc
