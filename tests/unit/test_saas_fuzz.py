"""Whatever stands in the state or in an event: it is taken, or refused with a reason."""

import contextlib
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from modules.saas import usage
from modules.saas.errors import Rejected
from modules.saas.events import InvoiceOrder, RequestCompleted
from modules.saas.invoice import tax_rate_of
from modules.saas.money import percent
from modules.saas.periods import parse_period
from modules.saas.tenants import TENANT_ID, Customer, tenant_as, zone_of
from modules.saas.terms import Terms

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
RECORDS = st.dictionaries(
    st.sampled_from(
        ["plan", "timezone", "name", "address", "vatId", "email", "currency", "taxRate"]
    ),
    JSON | st.text(max_size=20),
)


@given(JSON | RECORDS)
def test_fuzzed_tenant_is_read_or_refused(record: Any) -> None:
    """A tenant's record may be anything; what is read can be billed or is refused."""
    with contextlib.suppress(Rejected):
        customer = tenant_as(Customer, "acme", record)
        assert len(customer.address_lines) <= 8
        assert "\n" not in customer.mail_to
        assert percent(tax_rate_of(customer, Terms())) == tax_rate_of(customer, Terms())
        assert customer.zone


@given(JSON)
def test_fuzzed_usage_is_counted_or_refused(value: Any) -> None:
    """What somebody wrote into a day's value is never billed as less than nothing."""
    with contextlib.suppress(Rejected):
        before = usage.checked(value).get("total", 0)
        assert usage.counted(value, "/a")["total"] == before + 1 >= 1


@given(st.text(max_size=30))
def test_fuzzed_names_are_read_or_refused(text: str) -> None:
    """Zones, months and rates: no other error than the stated one."""
    for read in (zone_of, parse_period, percent):
        with contextlib.suppress(Rejected):
            assert read(text)


@given(st.dictionaries(st.sampled_from(["tenantId", "endpoint", "requestId", "at"]), JSON))
def test_fuzzed_events_fit_or_do_not(data: dict[str, Any]) -> None:
    """An event that fits names a tenant whose id is safe in keys and paths."""
    kinds: list[type[RequestCompleted | InvoiceOrder]] = [RequestCompleted, InvoiceOrder]
    for kind in kinds:
        with contextlib.suppress(msgspec.ValidationError):
            tenant_id = msgspec.convert(data, kind).tenant_id
            assert not set(":*?[]/\\\n ") & set(tenant_id)
            assert not tenant_id.startswith(".")


def test_tenant_ids_end_where_they_end() -> None:
    """A line break after an id is not part of one."""
    for wrong in ("acme\n", "", ".", "..", "a" * 65, "\u00e9", "a b"):
        try:
            msgspec.convert({"tenantId": wrong, "billingPeriod": "2026-01"}, InvoiceOrder)
        except msgspec.ValidationError:
            continue
        raise AssertionError(f"{wrong!r} is taken by {TENANT_ID}")
