"""The events of the SaaS module: topic → type of its data, in camelCase on the way. Pure.

Amounts are whole minor units of the currency (cents, yen).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from modules.saas.tenants import TenantId

_YEAR_3000_MS = 32_503_680_000_000


class RequestCompleted(Struct, frozen=True, rename="camel"):
    """`api.request.completed`: one call of a tenant.

    `at` is when it happened: ISO 8601 with an offset, or Unix milliseconds; absent: now. Calls
    with one `requestId` are one call.
    """

    tenant_id: TenantId
    endpoint: Annotated[str, Meta(max_length=8192)]
    request_id: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    at: Annotated[datetime, Meta(tz=True)] | Annotated[int, Meta(ge=0, le=_YEAR_3000_MS)] | None = (
        None
    )


class ThresholdExceeded(Struct, frozen=True, rename="camel"):
    """`usage.threshold.exceeded`: a tenant went beyond its plan's calls of a day.

    Once per tenant and day, and once more for each higher limit after an upgrade.
    """

    tenant_id: str
    usage: int
    limit: int
    day: str
    plan: str


class UsageReportDue(Struct, frozen=True, rename="camel"):
    """`usage.report.generate`: a day of a tenant's zone is over, and calls were counted on it."""

    tenant_id: str
    day: str


class InvoiceOrder(Struct, frozen=True, rename="camel"):
    """`billing.invoice.create` and `invoice.issued`: make, or print, a tenant's invoice of a month.

    `billingPeriod` is a month of the tenant's zone, such as `2026-01`.
    """

    tenant_id: TenantId
    billing_period: str


class InvoiceCreated(Struct, frozen=True, rename="camel"):
    """`invoice.created`: an invoice is final, and its PDF can be fetched.

    `amount` is with tax, `amountDue` what is left of it after a credit.
    """

    tenant_id: str
    invoice_url: str
    amount: int
    amount_due: int
    currency: str
    number: str
    billing_period: str
    due_on: str


class Attachment(Struct, frozen=True):
    """A part of `Mail`: a file by its address."""

    filename: str
    url: str


class Mail(Struct, frozen=True, rename="camel"):
    """`email.send`: a text to one address."""

    to: str
    subject: str
    text: str
    attachments: Sequence[Attachment]
    tenant_id: str
    invoice_number: str
