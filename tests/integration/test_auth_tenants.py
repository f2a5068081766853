"""Tenants over HTTP: who may enter which, and what the step is told."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.access import TOKEN, Instance, instance

pytestmark = pytest.mark.anyio

STEPS = {
    "tenant_step": """
    config = {"type": "api", "name": "TenantAPI", "method": "GET", "path": "/api/:tenantId/*",
              "middleware": ["authMiddleware", "tenantMiddleware"]}
    async def handler(req, ctx):
        tenant_id = req.pathParams["tenantId"]
        data = await ctx.state.get(f"tenant:{tenant_id}:data", req.pathParams[0])
        return {"status": 200, "body": {"data": data, "plan": req.tenant.plan}}
    """,
    "mine_step": """
    config = {"type": "api", "name": "Mine", "method": "GET", "path": "/mine",
              "middleware": ["tenantMiddleware"]}
    async def handler(req, ctx):
        return {"tenant": req.tenant.id, "of": req.user.tenant, "roles": req.user.tenantRoles}
    """,
    "own_step": """
    from tidegate.auth import role
    config = {"type": "api", "name": "Own", "method": "GET", "path": "/own/:tenant",
              "middleware": ["authMiddleware", "tenantMiddleware", role("owner")]}
    async def handler(req, ctx):
        return {"ok": True}
    """,
    "scoped_step": """
    from tidegate.auth import scope
    config = {"type": "api", "name": "Scoped", "method": "GET", "path": "/scoped/:tenant",
              "middleware": ["tenantMiddleware", scope("data:read")]}
    async def handler(req, ctx):
        return {"ok": True}
    """,
}


async def _furnish(here: Instance) -> None:
    for name, plan in (("acme", "pro"), ("beta", "free")):
        await here.put("tenants", name, {"plan": plan})
        await here.put(f"tenant:{name}:data", "report", f"of {name}")
    await here.add_user("ada", tenants={"acme": ("owner",), "beta": ("guest",)}, tenant="acme")
    await here.add_user("bob", tenants={"acme": ("guest",), "gone": ()})
    await here.add_user("eve")


async def _bearer(here: Instance, who: str) -> str:
    return str((await here.log_in(who))["access_token"])


async def test_auth_tenant_of_the_path_is_entered_by_its_members(tmp_path: Path) -> None:
    """The seed's TenantAPI: a member gets the tenant's data and plan."""
    async with instance(tmp_path, STEPS) as here:
        await _furnish(here)
        async with here.client(await _bearer(here, "ada")) as client:
            own = await client.get("/api/acme/report")
            second = await client.get("/api/beta/report")

    assert own.json() == {"data": "of acme", "plan": "pro"}
    assert second.json() == {"data": "of beta", "plan": "free"}


async def test_auth_strangers_learn_nothing_of_a_tenant(tmp_path: Path) -> None:
    """Another's tenant and one that does not exist are the same answer, to the byte."""
    async with instance(tmp_path, STEPS) as here:
        await _furnish(here)
        async with here.client(await _bearer(here, "bob")) as client:
            others = await client.get("/api/beta/report")
            nowhere = await client.get("/api/nowhere/report")
            member_of_none = await client.get("/api/gone/report")
            by_header = await client.get("/mine", headers={"X-Tenant": "beta"})

    assert others.status_code == 404
    assert others.content == nowhere.content == member_of_none.content == by_header.content


@pytest.mark.parametrize(
    ("bearer", "path", "status"),
    [
        (None, "/api/acme/report", 401),
        (None, "/mine", 401),
        ("wrong", "/api/acme/report", 401),
        (TOKEN, "/api/acme/report", 200),
        (TOKEN, "/api/beta/report", 200),
        (TOKEN, "/api/nowhere/report", 404),
        (TOKEN, "/mine", 400),
        ("device-token", "/api/acme/report", 404),
    ],
)
async def test_auth_who_may_enter(
    tmp_path: Path, bearer: str | None, path: str, status: int
) -> None:
    """Nobody without a caller, the administrator everywhere, a device nowhere."""
    async with instance(tmp_path, STEPS) as here:
        await _furnish(here)

        assert await here.status(bearer, path) == status


async def test_auth_tenant_where_the_path_names_none(tmp_path: Path) -> None:
    """The header wins over the default; who belongs to one only need not name it."""
    async with instance(tmp_path, STEPS) as here:
        await _furnish(here)
        async with here.client(await _bearer(here, "ada")) as ada:
            default = (await ada.get("/mine")).json()
            named = (await ada.get("/mine", headers={"X-Tenant": "beta"})).json()
        async with here.client(await _bearer(here, "eve")) as eve:
            none = await eve.get("/mine")

    assert default == {"tenant": "acme", "of": "acme", "roles": ["owner"]}
    assert named == {"tenant": "beta", "of": "beta", "roles": ["guest"]}
    assert none.status_code == 400


async def test_auth_role_in_a_tenant_counts_there_alone(tmp_path: Path) -> None:
    """An owner of one tenant is a guest in the other."""
    async with instance(tmp_path, STEPS) as here:
        await _furnish(here)
        ada, bob = await _bearer(here, "ada"), await _bearer(here, "bob")

        statuses = [await here.status(ada, f"/own/{name}") for name in ("acme", "beta")]
        statuses.append(await here.status(bob, "/own/acme"))

    assert statuses == [200, 403, 403]


async def test_auth_key_is_of_one_tenant(tmp_path: Path) -> None:
    """A key opens its own tenant, no other of its owner's; all only an administrator's `*`."""
    async with instance(tmp_path, STEPS) as here:
        await _furnish(here)
        await here.add_user("root", roles=("admin",))
        async with here.client(TOKEN) as admin:

            async def key(owner: str, tenant: str | None, scope: str) -> str:
                body = {"name": "k", "owner": owner, "scopes": [scope], "tenant": tenant}
                return str((await admin.post("/api/v1/auth/keys", json=body)).json()["key"])

            beta = await key("ada", "beta", "data:read")
            default = await key("ada", None, "data:read")
            bound = await key("root", "beta", "*")
            free = await key("root", None, "*")
            narrow = await key("root", None, "data:read")
        paths = ("/scoped/acme", "/scoped/beta")
        keys = (beta, default, bound, free, narrow)
        statuses = [[await here.status(key, path) for path in paths] for key in keys]
        powers = [await here.status(k, "/api/v1/auth/users") for k in (bound, free)]

    assert statuses == [[404, 200], [200, 404], [404, 200], [200, 200], [404, 404]]
    assert powers == [403, 200]


async def test_auth_key_ends_with_its_owners_membership(tmp_path: Path) -> None:
    """Who has left a tenant has no key to it either."""
    async with instance(tmp_path, STEPS) as here:
        await _furnish(here)
        async with here.client(TOKEN) as admin:
            body = {"name": "k", "owner": "ada", "scopes": ["data:read"], "tenant": "beta"}
            key = (await admin.post("/api/v1/auth/keys", json=body)).json()["key"]
            before = await here.status(key, "/scoped/beta")
            await admin.patch("/api/v1/auth/users/ada", json={"tenants": {"acme": []}})
            after = await here.status(key, "/scoped/beta")

    assert (before, after) == (200, 404)


@pytest.mark.parametrize(
    "wrong",
    [
        {"tenants": {"acme": ["admin"]}},
        {"tenants": {"acme": ["device"]}},
        {"tenants": {" acme": []}},
        {"tenants": {"": []}},
        {"tenant": "beta", "tenants": {"acme": []}},
        {"roles": ["device"]},
        {"roles": ["Big Boss"]},
        {"roles": "admin"},
        {"username": "t/d"},
        {"username": ""},
        {"password": "short"},
        {"password": "x" * 1025},
        {"password": "aaaaaaaaaaaa"},
        {"password": "ada-lovelace"},
        {"scopes": ["A"]},
    ],
    ids=str,
)
async def test_auth_user_that_makes_no_sense_is_not_added(
    tmp_path: Path, wrong: dict[str, Any]
) -> None:
    """No role in a tenant may be the administrator's; no name may be a device's."""
    body = {"username": "ada-lovelace", "password": "correct horse", **wrong}
    async with instance(tmp_path) as here, here.client(TOKEN) as client:
        answer = await client.post("/api/v1/auth/users", json=body)
        users = await here.access.users.page(limit=10)

    assert (answer.status_code, users) == (422, [])
    assert str(wrong.get("password", "horse")) not in answer.text
