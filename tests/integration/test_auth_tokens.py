"""Access and refresh tokens over HTTP: what they are, and where they are kept."""

from pathlib import Path

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from tests.support.access import PASSWORD, instance
from tests.support.tokens import KID, LOGIN, REFRESH, SECRET, keys, refresh
from tidegate.auth.claims import LIFETIME_S
from tidegate.auth.signing import SigningKeys
from tidegate.instance import InstanceFolder

pytestmark = pytest.mark.anyio


async def test_auth_login_gives_tokens_that_open(tmp_path: Path) -> None:
    """The access token says who calls; the answer is kept by nobody; the cookie hides the rest."""
    async with instance(tmp_path) as here:
        await here.add_user("ada", roles=("editor",), tenants={"acme": ("owner",)}, tenant="acme")
        async with here.client() as client:
            answer = await client.post(LOGIN, json={"username": "ada", "password": PASSWORD})
        tokens = answer.json()
        async with here.client(tokens["access_token"]) as client:
            me = await client.get("/api/v1/auth/me")

    assert answer.headers["cache-control"] == me.headers["cache-control"] == "no-store"
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 900)
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"tidegate_refresh={tokens['refresh_token']}; Path=/api/v1/auth;")
    assert cookie.endswith("; HttpOnly; SameSite=Strict")
    assert me.json()["userId"] == "ada"
    assert (me.json()["roles"], me.json()["tenants"]) == (["editor"], {"acme": ["owner"]})


async def test_auth_refresh_cookie_is_secure_over_https(tmp_path: Path) -> None:
    """Behind a public address with HTTPS the cookie travels only there."""
    async with instance(tmp_path, public_url="https://pages.example") as here:
        await here.add_user("ada")
        async with here.client() as client:
            answer = await client.post(LOGIN, json={"username": "ada", "password": PASSWORD})

    assert answer.headers["set-cookie"].endswith("; Secure")


async def test_auth_access_token_has_the_claims(tmp_path: Path) -> None:
    """Subject, roles, tenant, times, id, issuer and audience; the header names the key."""
    async with instance(tmp_path, signing=keys()) as here:
        await here.add_user("ada", roles=("editor",), tenants={"acme": ()}, tenant="acme")
        access = (await here.log_in("ada"))["access_token"]
    token = jwt.decode(access, OctKey.import_key(bytes.fromhex(SECRET)))

    assert token.header == {"typ": "at+jwt", "alg": "HS256", "kid": KID}
    assert token.claims["exp"] - token.claims["iat"] == 900
    assert {name: token.claims[name] for name in ("sub", "roles", "tenant", "iss", "aud")} == {
        "sub": "ada",
        "roles": ["editor"],
        "tenant": "acme",
        "iss": "tidegate",
        "aud": "tidegate-api",
    }
    assert len(token.claims["jti"]) == 32


async def test_auth_access_token_ends_after_fifteen_minutes(tmp_path: Path) -> None:
    """To the second."""
    async with instance(tmp_path) as here:
        await here.add_user("ada")
        access = (await here.log_in("ada"))["access_token"]
        here.tick(LIFETIME_S - 1)
        before = await here.status(access)
        here.tick(1)
        after = await here.status(access)

    assert (before, after) == (200, 401)


async def test_auth_roles_are_those_of_now(tmp_path: Path) -> None:
    """An access token from before a change of roles opens what the new roles open."""
    async with instance(tmp_path) as here:
        await here.add_user("ada", roles=("admin",))
        access = (await here.log_in("ada"))["access_token"]
        before = await here.status(access, "/api/v1/auth/users")
        async with here.client("administrator") as client:
            await client.patch("/api/v1/auth/users/ada", json={"roles": ["editor"]})
        after = await here.status(access, "/api/v1/auth/users")

    assert (before, after) == (200, 403)


async def test_auth_refresh_cookie_needs_our_own_page(tmp_path: Path) -> None:
    """The cookie alone refreshes from our pages, and from no other site's."""
    async with instance(tmp_path) as here:
        await here.add_user("ada")
        token = (await here.log_in("ada"))["refresh_token"]
        async with here.client() as client:
            client.cookies.set("tidegate_refresh", token)
            foreign = await client.post(REFRESH, headers={"origin": "http://evil"})
            own = await client.post(REFRESH, headers={"origin": "http://here"})
            nothing = await here.status(None, REFRESH, "POST")

    assert (foreign.status_code, own.status_code, nothing) == (403, 200, 401)


async def test_auth_only_hashes_are_at_rest(tmp_path: Path) -> None:
    """Neither a token, a password nor a key's secret stands in the database's files."""
    async with instance(tmp_path) as here:
        await here.add_user("ada")
        tokens = await here.log_in("ada")
        session = await here.access.users.login("ada", PASSWORD)
        async with here.client(tokens["access_token"]) as client:
            body = {"name": "k", "scopes": ["*"]}
            key = (await client.post("/api/v1/auth/keys", json=body)).json()["key"]
        secrets = [*tokens["refresh_token"].split("_")[2:3], session or "", PASSWORD]
        secrets += [key.split("_")[2], tokens["access_token"]]
        content = _everything(tmp_path)

    assert key.split("_")[1].encode() in content
    assert [secret for secret in secrets if secret.encode() in content] == []


def _everything(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.glob("state.db*"))


async def test_auth_restart_keeps_every_login(tmp_path: Path) -> None:
    """Tokens are of the instance, not of the process."""
    folder = InstanceFolder(tmp_path)
    async with instance(tmp_path, signing=SigningKeys.kept_in(folder)) as here:
        await here.add_user("ada")
        tokens = await here.log_in("ada")
    async with instance(tmp_path, signing=SigningKeys.kept_in(folder)) as here:
        access = await here.status(tokens["access_token"])
        refreshed, _ = await refresh(here, tokens["refresh_token"])

    assert (access, refreshed) == (200, 200)
