"""A tenant's data over HTTP: by its path, and for nobody else."""

from typing import Any

import pytest

from modules.saas.steps import get_invoice_step, list_invoices_step, tenant_api_step
from tests.support.fake_context import FakeContext
from tests.support.saas import ACME, saas
from tidegate.errors import HTTPError
from tidegate.http.request import Request

pytestmark = pytest.mark.anyio

DATA = "tenant:acme:data"


@pytest.mark.parametrize(
    "value", [{"theme": "dark"}, {"status": 404}, [1, 2], "text", "", 0, False, {}, []]
)
async def test_tenant_api_gives_the_value_at_a_path(value: Any) -> None:
    """Also a value that is falsy, and one that looks like an answer."""
    async with saas() as s:
        await s.put(DATA, "settings/ui", value)
        answer = await s.h.client.get("/api/acme/settings/ui", headers={"x-of-tenant": "acme"})

        assert (answer.status_code, answer.json()) == (200, value)


async def test_tenant_api_has_nothing_where_nothing_is() -> None:
    """A path without a value is 404, also the empty one."""
    async with saas() as s:
        answers = [
            await s.h.client.get(f"/api/acme/{path}", headers={"x-of-tenant": "acme"})
            for path in ("nothing", "", "a/b/c")
        ]

        assert [answer.status_code for answer in answers] == [404, 404, 404]


async def test_tenant_api_gives_a_path_called_invoices() -> None:
    """No route of the module hides a key of the tenant's data."""
    async with saas() as s:
        await s.put(DATA, "invoices/acme-00001.pdf", "mine")
        answer = await s.h.client.get(
            "/api/acme/invoices/acme-00001.pdf", headers={"x-of-tenant": "acme"}
        )

        assert answer.json() == "mine"


async def test_tenant_api_gives_a_tenants_data_to_nobody_else() -> None:
    """Another tenant's caller gets 404, a stranger 401."""
    async with saas(tenants={"acme": ACME, "globex": ACME}) as s:
        await s.put(DATA, "secret", "acme's")
        other = await s.h.client.get("/api/acme/secret", headers={"x-of-tenant": "globex"})
        stranger = await s.h.client.get(
            "/api/acme/secret", headers={"authorization": "", "x-of-tenant": "acme"}
        )

        assert (other.status_code, stranger.status_code) == (404, 401)
        assert "acme's" not in other.text + stranger.text


@pytest.mark.parametrize("step", [tenant_api_step, get_invoice_step, list_invoices_step])
def test_tenant_steps_name_both_guards_in_order(step: Any) -> None:
    """Who calls is asked before whom he belongs to."""
    assert step.config["middleware"] == ["authMiddleware", "tenantMiddleware"]


async def test_tenant_api_without_its_guard_gives_nothing() -> None:
    """Should a middleware forget to let the caller in as a tenant, the handler refuses."""
    ctx = FakeContext()
    await ctx.state.set(DATA, "secret", "acme's")
    request = Request(path_params={"tenantId": "acme", 0: "secret"}, tenant=None)

    with pytest.raises(HTTPError) as refused:
        await tenant_api_step.handler(request, ctx)

    assert refused.value.status == 403
