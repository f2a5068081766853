"""Access and refresh tokens over HTTP: their life, their theft, their forgery."""

import base64
import json
from pathlib import Path
from typing import Any

import anyio
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey
from prometheus_client import REGISTRY

from tests.support.access import PASSWORD, Instance, instance
from tidegate.auth.claims import LIFETIME_S
from tidegate.auth.signing import FILE, SigningKey, SigningKeys
from tidegate.errors import Misconfigured
from tidegate.instance import InstanceFolder

pytestmark = pytest.mark.anyio

LOGIN, REFRESH, LOGOUT = (f"/api/v1/auth/{name}" for name in ("login", "refresh", "logout"))
KID, SECRET = "k1", "11" * 32


def _keys() -> SigningKeys:
    return SigningKeys([SigningKey(KID, SECRET)])


def _refused(reason: str) -> float:
    return REGISTRY.get_sample_value("tidegate_auth_refused_total", {"reason": reason}) or 0


async def _refresh(here: Instance, token: str) -> tuple[int, dict[str, Any]]:
    async with here.client() as client:
        answer = await client.post(REFRESH, json={"refresh_token": token})
    return answer.status_code, answer.json()


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
    async with instance(tmp_path, signing=_keys()) as here:
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


async def test_auth_refresh_rotates(tmp_path: Path) -> None:
    """Each use gives the next token; the last one works, and all opens as before."""
    async with instance(tmp_path) as here:
        await here.add_user("ada")
        token = (await here.log_in("ada"))["refresh_token"]
        given = [token]
        for _ in range(3):
            here.tick(600)
            status, tokens = await _refresh(here, given[-1])
            assert status == 200
            given.append(tokens["refresh_token"])
        opens = await here.status(tokens["access_token"])

    assert len(set(given)) == 4
    assert opens == 200


async def test_auth_voided_refresh_token_revokes_the_family(tmp_path: Path) -> None:
    """Who uses a voided token after the grace ends it for all: thief and owner log in anew."""
    async with instance(tmp_path) as here:
        await here.add_user("ada")
        stolen = (await here.log_in("ada"))["refresh_token"]
        _, tokens = await _refresh(here, stolen)
        before = _refused("refresh_reused")
        here.tick(11)

        thief, _ = await _refresh(here, stolen)
        owner, _ = await _refresh(here, tokens["refresh_token"])
        access = await here.status(tokens["access_token"])

    assert (thief, owner, access) == (401, 401, 401)
    assert _refused("refresh_reused") == before + 1


async def test_auth_old_voided_refresh_token_is_recognised_too(tmp_path: Path) -> None:
    """Theft is noticed also by a token from many rotations ago, at once."""
    async with instance(tmp_path) as here:
        await here.add_user("ada")
        first = (await here.log_in("ada"))["refresh_token"]
        current = first
        for _ in range(5):
            _, tokens = await _refresh(here, current)
            current = tokens["refresh_token"]

        thief, _ = await _refresh(here, first)
        owner, _ = await _refresh(here, current)

    assert (thief, owner) == (401, 401)


async def test_auth_lost_answer_is_given_again(tmp_path: Path) -> None:
    """Within ten seconds the voided token answers the same next one, and revokes nothing."""
    async with instance(tmp_path) as here:
        await here.add_user("ada")
        token = (await here.log_in("ada"))["refresh_token"]
        _, first = await _refresh(here, token)
        here.tick(9)
        status, again = await _refresh(here, token)
        goes_on, _ = await _refresh(here, again["refresh_token"])

    assert (status, goes_on) == (200, 200)
    assert again["refresh_token"] == first["refresh_token"]


async def test_auth_twenty_refreshes_at_once_rotate_once(tmp_path: Path) -> None:
    """Exactly one of them rotates; all hold its token, which works."""
    async with instance(tmp_path) as here:
        await here.add_user("ada")
        token = (await here.log_in("ada"))["refresh_token"]
        answers: list[tuple[int, dict[str, Any]]] = []

        async def refresh() -> None:
            answers.append(await _refresh(here, token))

        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(refresh)
        following = {body["refresh_token"] for _, body in answers}
        goes_on, _ = await _refresh(here, min(following))

    assert [status for status, _ in answers] == [200] * 20
    assert len(following) == 1
    assert goes_on == 200


async def test_auth_invented_refresh_token_revokes_nothing(tmp_path: Path) -> None:
    """Who knows only a family's name cannot end it."""
    async with instance(tmp_path) as here:
        await here.add_user("ada")
        token = (await here.log_in("ada"))["refresh_token"]
        family = token.split("_")[1]
        invented, _ = await _refresh(here, f"tgr_{family}_{'0' * 64}_{'0' * 64}")
        nonsense, _ = await _refresh(here, "tgr_x")
        owner, _ = await _refresh(here, token)

    assert (invented, nonsense, owner) == (401, 401, 200)


async def test_auth_family_ends_after_seven_idle_days(tmp_path: Path) -> None:
    """One refresh a week keeps it, a second later it is over."""
    week = 7 * 24 * 3600
    async with instance(tmp_path) as here:
        await here.add_user("ada")
        token = (await here.log_in("ada"))["refresh_token"]
        here.tick(week - 1)
        kept, tokens = await _refresh(here, token)
        here.tick(week)
        over, _ = await _refresh(here, tokens["refresh_token"])

    assert (kept, over) == (200, 401)


async def test_auth_family_ends_after_thirty_days_however_used(tmp_path: Path) -> None:
    """A login is asked for once a month at least."""
    day = 24 * 3600
    async with instance(tmp_path) as here:
        await here.add_user("ada")
        token = (await here.log_in("ada"))["refresh_token"]
        statuses = []
        for _ in range(30):
            here.tick(day)
            status, tokens = await _refresh(here, token)
            statuses.append(status)
            token = tokens.get("refresh_token", token)

    assert statuses == [200] * 29 + [401]


async def test_auth_logout_ends_this_login_alone(tmp_path: Path) -> None:
    """Its refresh and access tokens are over at once, those of another login go on."""
    async with instance(tmp_path) as here:
        await here.add_user("ada")
        ended, other = await here.log_in("ada"), await here.log_in("ada")
        async with here.client() as client:
            client.cookies.set("tidegate_refresh", ended["refresh_token"])
            answer = await client.post(LOGOUT)
        statuses = [
            await here.status(ended["access_token"]),
            (await _refresh(here, ended["refresh_token"]))[0],
            await here.status(other["access_token"]),
        ]

    assert answer.status_code == 204
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert statuses == [401, 401, 200]


async def test_auth_logout_by_access_token_ends_its_family(tmp_path: Path) -> None:
    """A program that holds only the access token can end its login."""
    async with instance(tmp_path) as here:
        await here.add_user("ada")
        tokens = await here.log_in("ada")
        await here.status(tokens["access_token"], LOGOUT, "POST")

        assert await here.status(tokens["access_token"]) == 401
        assert (await _refresh(here, tokens["refresh_token"]))[0] == 401


@pytest.mark.parametrize("how", ["everywhere", "password", "disabled"])
async def test_auth_everything_begun_ends(tmp_path: Path, how: str) -> None:
    """Logging out everywhere, a new password, a disabled user end sessions and families alike."""
    async with instance(tmp_path) as here:
        await here.add_user("ada")
        one, other = await here.log_in("ada"), await here.log_in("ada")
        session = await here.access.users.login("ada", PASSWORD)
        async with here.client(one["access_token"]) as ada, here.client("administrator") as admin:
            if how == "everywhere":
                done = await ada.post("/api/v1/auth/logout-everywhere")
            elif how == "password":
                body = {"old_password": PASSWORD, "new_password": "another horse"}
                done = await ada.post("/api/v1/auth/password", json=body)
            else:
                done = await admin.patch("/api/v1/auth/users/ada", json={"disabled": True})
                await admin.patch("/api/v1/auth/users/ada", json={"disabled": False})

        assert done.status_code in (200, 204)
        assert await here.access.users.of_session(session or "") is None
        for tokens in (one, other):
            assert await here.status(tokens["access_token"]) == 401
            assert (await _refresh(here, tokens["refresh_token"]))[0] == 401


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


def _forged(claims: dict[str, Any], header: dict[str, Any], secret: str = SECRET) -> str:
    return jwt.encode(header, claims, OctKey.import_key(bytes.fromhex(secret)), ["HS256", "HS512"])


def _unsigned(claims: dict[str, Any], header: dict[str, Any]) -> str:
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
        for part in (header, claims)
    ]
    return ".".join([*parts, ""])


_HEADER = {"alg": "HS256", "kid": KID, "typ": "at+jwt"}
FORGERIES: dict[str, Any] = {
    "none": lambda c: _unsigned(c, {**_HEADER, "alg": "none"}),
    "None": lambda c: _unsigned(c, {**_HEADER, "alg": "None"}),
    "unsigned": lambda c: _unsigned(c, _HEADER),
    "other algorithm": lambda c: _forged(c, {**_HEADER, "alg": "HS512"}),
    "other secret": lambda c: _forged(c, _HEADER, "22" * 32),
    "other kid": lambda c: _forged(c, {**_HEADER, "kid": "k2"}),
    "no kid": lambda c: _forged(c, {"alg": "HS256", "typ": "at+jwt"}),
    "kid is a path": lambda c: _forged(c, {**_HEADER, "kid": "../../dev/null"}),
    "own key inside": lambda c: _unsigned(c, {**_HEADER, "jwk": {"kty": "oct", "k": "AA"}}),
    "critical": lambda c: _unsigned(c, {**_HEADER, "crit": ["exp"]}),
    "other type": lambda c: _forged(c, {**_HEADER, "typ": "JWT"}),
    "other audience": lambda c: _forged({**c, "aud": "elsewhere"}, _HEADER),
    "several audiences": lambda c: _forged({**c, "aud": ["tidegate-api"]}, _HEADER),
    "other issuer": lambda c: _forged({**c, "iss": "elsewhere"}, _HEADER),
    "expired": lambda c: _forged({**c, "exp": c["iat"]}, _HEADER),
    "never ends": lambda c: _forged({n: v for n, v in c.items() if n != "exp"}, _HEADER),
    "text as time": lambda c: _forged({**c, "exp": "9999999999"}, _HEADER),
    "from the future": lambda c: _forged({**c, "iat": c["iat"] + 3600}, _HEADER),
    "other family": lambda c: _forged({**c, "sid": "0" * 32}, _HEADER),
    "other user": lambda c: _forged({**c, "sub": "root"}, _HEADER),
    "a list": lambda _: f"{_unsigned({}, _HEADER).split('.')[0]}.W10.",
    "deep header": lambda _: base64.urlsafe_b64encode(b"[" * 3000).decode() + ".e30.e30",
    "no text": lambda _: "_w._w._w",
    "huge": lambda c: _forged({**c, "x": "y" * 20_000}, _HEADER),
}


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_auth_forged_access_token_is_refused(tmp_path: Path, forgery: str) -> None:
    """Whatever a token says of its own algorithm, key, audience or time is not believed."""
    async with instance(tmp_path, signing=_keys()) as here:
        await here.add_user("ada")
        await here.add_user("root", roles=("admin",))
        access = (await here.log_in("ada"))["access_token"]
        claims = jwt.decode(access, OctKey.import_key(bytes.fromhex(SECRET))).claims
        same = await here.status(_forged(claims, _HEADER))

        forged = await here.status(FORGERIES[forgery](claims))

    assert (same, forged) == (200, 401)


async def test_auth_tampered_access_token_is_refused(tmp_path: Path) -> None:
    """Other roles under the old signature open nothing, and the count says why."""
    async with instance(tmp_path) as here:
        await here.add_user("ada")
        head, _, signature = (await here.log_in("ada"))["access_token"].split(".")
        claims = {"sub": "ada", "roles": ["admin"]}
        body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
        before = _refused("jwt_signature")

        assert await here.status(f"{head}.{body}.{signature}") == 401
        assert _refused("jwt_signature") == before + 1


async def test_auth_rotated_signing_key_verifies_until_its_tokens_are_over(tmp_path: Path) -> None:
    """Old tokens go on, new ones name the new key, and both survive a restart."""
    folder = InstanceFolder(tmp_path)
    async with instance(tmp_path, signing=SigningKeys.kept_in(folder)) as here:
        await here.add_user("ada")
        old = await here.log_in("ada")
        rotated = await here.status("administrator", "/api/v1/auth/signing-key", "POST")
        _, new = await _refresh(here, old["refresh_token"])
        before = [await here.status(token["access_token"]) for token in (old, new)]
    async with instance(tmp_path, signing=SigningKeys.kept_in(folder)) as here:
        restarted = [await here.status(token["access_token"]) for token in (old, new)]

    heads = {token["access_token"].split(".")[0] for token in (old, new)}
    assert (rotated, before, restarted) == (200, [200, 200], [200, 200])
    assert len(heads) == 2
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


async def test_auth_restart_keeps_every_login(tmp_path: Path) -> None:
    """Tokens are of the instance, not of the process."""
    folder = InstanceFolder(tmp_path)
    async with instance(tmp_path, signing=SigningKeys.kept_in(folder)) as here:
        await here.add_user("ada")
        tokens = await here.log_in("ada")
    async with instance(tmp_path, signing=SigningKeys.kept_in(folder)) as here:
        access = await here.status(tokens["access_token"])
        refreshed, _ = await _refresh(here, tokens["refresh_token"])

    assert (access, refreshed) == (200, 200)


async def test_auth_processes_on_one_folder_share_signing_keys(tmp_path: Path) -> None:
    """What one process replaces the other signs with at once; a damaged file stops the start."""
    folder = InstanceFolder(tmp_path)
    one, other = SigningKeys.kept_in(folder), SigningKeys.kept_in(folder)
    old = other.sign({"sub": "ada"})
    new = one.rotate(1000)

    assert (one.current, other.current) == (new, new)
    assert one.verify(other.sign({"sub": "bob"}), 1000) == {"sub": "bob"}
    assert other.verify(old, 1000) == {"sub": "ada"}

    (tmp_path / FILE).write_bytes(b"{")
    assert other.verify(old, 1000) == {"sub": "ada"}
    with pytest.raises(Misconfigured, match="is damaged"):
        SigningKeys.kept_in(folder)
