"""API keys over HTTP: what they open, whose they are, how they end."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from prometheus_client import REGISTRY

from tests.support.access import NOW, TOKEN, Instance, instance
from tidegate.auth.key_format import parsed
from tidegate.auth.keys import ApiKeys

pytestmark = pytest.mark.anyio

KEYS = "/api/v1/auth/keys"
STEPS = {
    "read_step": """
    from tidegate.auth import scope
    config = {"type": "api", "name": "Read", "method": "GET", "path": "/read",
              "middleware": ["authMiddleware", scope("telemetry:read")]}
    async def handler(req, ctx):
        return {"user": req.user.userId, "key": req.user.get("keyId")}
    """,
    "open_step": """
    config = {"type": "api", "name": "Open", "method": "GET", "path": "/open",
              "middleware": ["authMiddleware"]}
    async def handler(req, ctx):
        return {"user": req.user.user_id}
    """,
    "bill_step": """
    from tidegate.auth import role, scope
    config = {"type": "api", "name": "Bill", "method": "GET", "path": "/bill",
              "middleware": ["authMiddleware", role("billing", "owner"), scope("bill:read")]}
    async def handler(req, ctx):
        return {"ok": True}
    """,
    "admin_step": """
    config = {"type": "api", "name": "Admin", "method": "GET", "path": "/admin",
              "middleware": ["adminMiddleware"]}
    async def handler(req, ctx):
        return {"ok": True}
    """,
    "late_step": """
    from tidegate.auth import scope
    config = {"type": "api", "name": "Late", "method": "GET", "path": "/late",
              "middleware": [scope("telemetry:read")]}
    async def handler(req, ctx):
        return {"ok": True}
    """,
}


def _refused(reason: str) -> float:
    return REGISTRY.get_sample_value("tidegate_auth_refused_total", {"reason": reason}) or 0


async def _made(here: Instance, owner: str, *scopes: str, **parts: Any) -> dict[str, Any]:
    body = {"name": "ci", "owner": owner, "scopes": scopes, **parts}
    async with here.client(TOKEN) as client:
        answer = await client.post(KEYS, json=body)
    assert answer.status_code == 201, answer.text
    key: dict[str, Any] = answer.json()
    return key


async def test_auth_key_opens_what_its_scopes_say(tmp_path: Path) -> None:
    """A scope it holds opens; another, or a step that asks for none, does not."""
    async with instance(tmp_path, STEPS) as here:
        await here.add_user("ada", roles=("admin",))
        read = (await _made(here, "ada", "telemetry:read"))["key"]
        write = (await _made(here, "ada", "telemetry:write"))["key"]
        wide = (await _made(here, "ada", "telemetry:*"))["key"]
        every = (await _made(here, "ada", "*"))["key"]
        statuses = {
            name: [await here.status(key, path) for path in ("/read", "/open", "/admin")]
            for name, key in (("read", read), ("write", write), ("wide", wide), ("every", every))
        }

    assert statuses == {
        "read": [200, 403, 403],
        "write": [403, 403, 403],
        "wide": [200, 403, 403],
        "every": [200, 200, 200],
    }


async def test_auth_key_has_the_roles_of_its_owner(tmp_path: Path) -> None:
    """Role and scope are both asked for; people need no scope."""
    async with instance(tmp_path, STEPS) as here:
        await here.add_user("bob", roles=("billing",))
        await here.add_user("eve")
        bob, eve = [(await _made(here, who, "bill:read"))["key"] for who in ("bob", "eve")]
        person = (await here.log_in("bob"))["access_token"]

        statuses = [await here.status(bearer, "/bill") for bearer in (bob, eve, person, TOKEN)]

    assert statuses == [200, 403, 200, 403]


async def test_auth_restricted_user_and_its_keys_stay_within(tmp_path: Path) -> None:
    """Scopes of an account narrow the person and every key, also one that was made before."""
    async with instance(tmp_path, STEPS) as here:
        await here.add_user("ada")
        key = (await _made(here, "ada", "*"))["key"]
        person = (await here.log_in("ada"))["access_token"]
        before = [await here.status(bearer, "/read") for bearer in (key, person)]
        async with here.client(TOKEN) as admin:
            await admin.patch("/api/v1/auth/users/ada", json={"scopes": ["bill:read"]})
            more = await admin.post(KEYS, json={"name": "x", "owner": "ada", "scopes": ["*"]})
        after = [await here.status(bearer, "/read") for bearer in (key, person)]

    assert (before, after) == ([200, 200], [403, 403])
    assert more.status_code == 422


async def test_auth_guard_without_a_caller_is_closed(tmp_path: Path) -> None:
    """A step whose author forgot authMiddleware opens to nobody, and says why."""
    async with instance(tmp_path, STEPS) as here, here.client(TOKEN) as client:
        answer = await client.get("/late")

    assert answer.status_code == 401
    assert "authMiddleware" in answer.json()["detail"]


async def test_auth_key_is_told_once(tmp_path: Path) -> None:
    """The text has prefix and secret; lists show the prefix, never the secret or its hash."""
    async with instance(tmp_path) as here:
        await here.add_user("ada")
        made = await _made(here, "ada", "telemetry:read")
        async with here.client(TOKEN) as client:
            listed = await client.get(KEYS)

    kind, prefix, secret = made["key"].split("_")
    assert (kind, prefix, len(secret)) == ("tg", made["prefix"], 43)
    assert secret not in listed.text
    assert listed.json()["keys"] == [
        {
            "prefix": prefix,
            "name": "ci",
            "owner": "ada",
            "scopes": ["telemetry:read"],
            "created_at": "2026-03-01T12:00:00Z",
            "tenant": None,
            "expires_at": None,
            "revoked_at": None,
            "last_used_at": None,
        }
    ]


async def test_auth_key_ends_by_time_by_revocation_and_with_its_owner(tmp_path: Path) -> None:
    """Expired to the second, revoked at once, closed while its owner is disabled."""
    later = (NOW + timedelta(hours=1)).isoformat()
    async with instance(tmp_path, STEPS) as here:
        await here.add_user("ada")
        short = (await _made(here, "ada", "*", expires_at=later))["key"]
        kept = await _made(here, "ada", "*")
        here.tick(3599)
        at_first = [await here.status(key, "/open") for key in (short, kept["key"])]
        here.tick(1)
        expired = await here.status(short, "/open")
        async with here.client(TOKEN) as admin:
            await admin.patch("/api/v1/auth/users/ada", json={"disabled": True})
            disabled = await here.status(kept["key"], "/open")
            await admin.patch("/api/v1/auth/users/ada", json={"disabled": False})
            enabled = await here.status(kept["key"], "/open")
            revoked = [await admin.delete(f"{KEYS}/{kept['prefix']}") for _ in range(2)]
        gone = await here.status(kept["key"], "/open")

    assert at_first == [200, 200]
    assert (expired, disabled, enabled, gone) == (401, 401, 200, 401)
    assert [answer.status_code for answer in revoked] == [200, 200]
    assert revoked[0].json() == revoked[1].json()


async def test_auth_wrong_key_is_refused_and_counted(tmp_path: Path) -> None:
    """A right prefix with another secret, and a prefix that is nobody's, look the same."""
    async with instance(tmp_path, STEPS) as here:
        await here.add_user("ada")
        key = (await _made(here, "ada", "*"))["key"]
        before = _refused("key_wrong")
        async with here.client(key[:-1] + ("a" if key[-1] != "a" else "b")) as client:
            tampered = await client.get("/open")
        async with here.client(f"tg_{'0' * 12}_{'0' * 43}") as client:
            unknown = await client.get("/open")

    assert (tampered.status_code, unknown.status_code) == (401, 401)
    assert tampered.content == unknown.content
    assert _refused("key_wrong") == before + 2


async def test_auth_last_use_is_written_once_a_minute(tmp_path: Path) -> None:
    """A busy key costs one write a minute; the list says when it was used, to the minute."""
    async with instance(tmp_path, STEPS) as here:
        await here.add_user("ada")
        made = await _made(here, "ada", "*")
        seen = []
        for _ in range(3):
            await here.status(made["key"], "/open")
            [shown] = await here.access.keys.shown("ada")
            seen.append(shown["last_used_at"])
            here.tick(40)

    assert seen == ["2026-03-01T12:00:00+00:00"] * 2 + ["2026-03-01T12:01:20+00:00"]


async def test_auth_users_manage_their_own_keys_alone(tmp_path: Path) -> None:
    """Own keys are made, listed and revoked; another's is neither seen, made nor revoked."""
    async with instance(tmp_path) as here:
        await here.add_user("ada")
        await here.add_user("bob")
        theirs = await _made(here, "bob", "*")
        async with here.client((await here.log_in("ada"))["access_token"]) as ada:
            made = await ada.post(KEYS, json={"name": "mine", "scopes": ["telemetry:read"]})
            listed = await ada.get(KEYS, params={"owner": "bob"})
            stranger = await ada.post(KEYS, json={"name": "x", "owner": "bob", "scopes": ["*"]})
            other = await ada.delete(f"{KEYS}/{theirs['prefix']}")
            nobody = await ada.delete(f"{KEYS}/{'z' * 12}")
            own = await ada.delete(f"{KEYS}/{made.json()['prefix']}")

    assert made.status_code == 201
    assert [key["owner"] for key in listed.json()["keys"]] == ["ada"]
    assert (stranger.status_code, other.status_code, nobody.status_code) == (403, 404, 404)
    assert own.status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", KEYS),
        ("GET", KEYS),
        ("DELETE", f"{KEYS}/{'a' * 12}"),
        ("POST", "/api/v1/auth/password"),
        ("POST", "/api/v1/auth/logout-everywhere"),
        ("POST", "/api/v1/auth/users"),
        ("PATCH", "/api/v1/auth/users/ada"),
        ("POST", "/api/v1/auth/signing-key"),
    ],
)
async def test_auth_neither_keys_nor_devices_manage_credentials(
    tmp_path: Path, method: str, path: str
) -> None:
    """A stolen key makes no further key and takes no account over, whoever owns it."""
    async with instance(tmp_path) as here:
        await here.add_user("ada", roles=("admin",))
        key = (await _made(here, "ada", "*"))["key"]

        statuses = [await here.status(bearer, path, method) for bearer in (key, "device-token")]

    assert statuses == [403, 403]


@pytest.mark.parametrize(
    "wrong",
    [
        {"scopes": []},
        {"scopes": ["Telemetry Read"]},
        {"scopes": ["a*"]},
        {"name": ""},
        {"name": "x" * 101},
        {"name": "a\nb"},
        {"owner": "nobody"},
        {"tenant": "strange"},
        {"expires_at": "2026-03-01T11:00:00Z"},
        {"expires_at": "2026-03-02T11:00:00"},
        {"expires_at": "2099-03-01T11:00:00Z"},
        {"unknown": 1},
    ],
    ids=str,
)
async def test_auth_key_that_makes_no_sense_is_not_made(
    tmp_path: Path, wrong: dict[str, Any]
) -> None:
    """What is wrong is 422, and nothing is kept."""
    async with instance(tmp_path) as here, here.client(TOKEN) as client:
        await here.add_user("ada")
        body = {"name": "ci", "owner": "ada", "scopes": ["*"], **wrong}
        answer = await client.post(KEYS, json=body)
        kept = await here.access.keys.shown()

    assert (answer.status_code, kept) == (422, [])


async def test_auth_owner_has_a_hundred_keys_at_most(tmp_path: Path) -> None:
    """Also when they are made at the same time."""
    async with instance(tmp_path) as here, here.client(TOKEN) as client:
        await here.add_user("ada")
        statuses: list[int] = []

        async def make() -> None:
            body = {"name": "ci", "owner": "ada", "scopes": ["*"]}
            statuses.append((await client.post(KEYS, json=body)).status_code)

        for _ in range(95):
            await make()
        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(make)

    assert sorted(statuses) == [201] * 100 + [409] * 3


async def test_auth_last_use_is_written_once_a_minute_by_all_processes(tmp_path: Path) -> None:
    """A second process that knows nothing of the first's note writes none within the minute."""
    async with instance(tmp_path, STEPS) as here:
        await here.add_user("ada")
        text = parsed((await _made(here, "ada", "*"))["key"])
        assert text is not None
        await here.access.keys.caller(text)
        here.tick(30)
        await ApiKeys(here.access.users).caller(text)
        [shown] = await here.access.keys.shown("ada")

    assert shown["last_used_at"] == "2026-03-01T12:00:00+00:00"
