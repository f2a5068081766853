"""The SaaS steps in a harness: files in memory, a printer without paper, a tenancy to steer."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

import modules.saas
from modules.saas.invoice import Invoice
from modules.saas.invoice_files.memory import MemoryInvoiceFiles
from modules.saas.settings import SaasSettings
from tidegate.auth.middleware import MIDDLEWARE_NAMES, named_middlewares
from tidegate.contract import Context
from tidegate.errors import HTTPError
from tidegate.http.middleware import Next
from tidegate.http.request import Request
from tidegate.printing.errors import PrintFailed
from tidegate.testing import Harness

STEPS = Path(modules.saas.__file__).parent / "steps"
NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
ACME: dict[str, Any] = {
    "plan": "starter",
    "name": "Acme Ltd",
    "address": ["1 Main Street", "Springfield"],
    "email": "billing@acme.example",
}


class FakePrinter:
    """Gives bytes that tell invoices apart; fails as often as it is told to."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.printed: list[str] = []

    async def __call__(self, invoice: Invoice) -> bytes:
        """Print."""
        await anyio.lowlevel.checkpoint()
        if self.failures:
            self.failures -= 1
            raise PrintFailed("no paper")
        self.printed.append(invoice.number)
        return b"%PDF-" + msgspec.json.encode(invoice, order="sorted")


class Saas:
    """A harness with what it was given, and short words for what these tests do often."""

    def __init__(self, running: Harness, files: MemoryInvoiceFiles, printer: FakePrinter) -> None:
        self.h = running
        self.files = files
        self.printer = printer

    async def put(self, group: str, key: str, value: Any) -> None:
        """Set a value of the state."""

        async def put(ctx: Context) -> None:
            await ctx.state.set(group, key, value)

        await self.h.engine.transact(put)

    async def use(self, calls: int = 1, **fields: Any) -> None:
        """Emit calls of tenant acme, and handle them."""
        for _ in range(calls):
            call = {"tenantId": "acme", "endpoint": "/users", **fields}
            await self.h.emit("api.request.completed", call)
        await self.h.drain()

    async def bill(self, period: str, tenant_id: str = "acme") -> None:
        """Order an invoice, and handle all that follows."""
        order = {"tenantId": tenant_id, "billingPeriod": period}
        await self.h.emit("billing.invoice.create", order)
        await self.h.drain()

    async def invoice(self, number: str, tenant_id: str = "acme") -> Any:
        """Return an invoice as it lies in the state."""
        kept = await self.h.state(f"tenant:{tenant_id}:invoices", number)
        return kept and kept["invoice"]


async def _only_own(request: Request, ctx: Context, proceed: Next) -> Any:
    """Stand for `tenantMiddleware`: the header `x-of-tenant` says whom the caller belongs to."""
    tenant_id = request.path_params["tenantId"]
    if request.headers.get("x-of-tenant") != tenant_id:
        raise HTTPError(404, "no such tenant")
    request.tenant = await ctx.state.get("tenants", tenant_id)
    return await proceed()


def _steer_tenancy(patch: pytest.MonkeyPatch) -> None:
    def known(*who: Any, **more: Any) -> Mapping[str, Any]:
        return {**named_middlewares(*who, **more), "tenantMiddleware": _only_own}

    names = {*MIDDLEWARE_NAMES, "tenantMiddleware"}
    patch.setattr("tidegate.testing.harness.MIDDLEWARE_NAMES", tuple(names))
    patch.setattr("tidegate.testing.harness.named_middlewares", known)


@asynccontextmanager
async def saas(
    *,
    settings: SaasSettings | None = None,
    tenants: Mapping[str, Any] | None = None,
    failures: int = 0,
    now: datetime = NOW,
) -> AsyncIterator[Saas]:
    """Run the SaaS steps; without `tenants` there is one, acme, on the starter plan."""
    files, printer = MemoryInvoiceFiles(), FakePrinter(failures)
    given = {
        "saas_settings": settings or SaasSettings(),
        "invoice_files": files,
        "invoice_printer": printer,
    }
    with pytest.MonkeyPatch.context() as patch:
        _steer_tenancy(patch)
        async with Harness(STEPS, resources=given, now=now) as running:
            it = Saas(running, files, printer)
            for tenant_id, record in (tenants or {"acme": ACME}).items():
                await it.put("tenants", tenant_id, record)
            yield it


FEBRUARY = datetime(2026, 2, 2, 9, tzinfo=UTC)


async def used(s: Saas, calls: int, *, tenant_id: str = "acme", day: str = "2026-01-20") -> None:
    """Let the tenant have used that much on a day, without counting one by one."""
    await s.put("analytics", f"usage:{tenant_id}:{day}", {"/users": calls, "total": calls})


def of(s: Saas, path: str, tenant_id: str = "acme") -> Any:
    """Get a path as a caller of a tenant; await it."""
    return s.h.client.get(path, headers={"x-of-tenant": tenant_id})
