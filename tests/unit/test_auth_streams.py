"""Who may follow streams."""

from typing import cast

import pytest

from tidegate.auth.access import Access
from tidegate.auth.authenticator import Authenticator
from tidegate.auth.caller import Record, make_caller
from tidegate.auth.key_format import KeyText
from tidegate.auth.refusals import Refused
from tidegate.auth.session import COOKIE
from tidegate.auth.streams import may_follow, stream_guard
from tidegate.auth.users import Users

pytestmark = pytest.mark.anyio
COOKIES = {COOKIE: "session"}
OURS = {"origin": "http://here", "host": "here"}
OTHERS = {"origin": "http://evil", "host": "here"}
SOCKET = {"upgrade": "WebSocket"}
SCOPES = {"k" * 12: "streams:read", "w" * 12: "*", "o" * 12: "telemetry:*"}


class FakeSessions:
    """Knows one session."""

    async def caller(self, token: str) -> Record:
        """Return its user."""
        if token != "session":
            raise Refused("session")
        return make_caller("ann", ["customer"], kind="session")


class FakeKeys:
    """Knows keys by their prefixes."""

    async def caller(self, key: KeyText) -> Record:
        """Return the key's user."""
        scopes = [SCOPES[key.prefix]]
        return make_caller("ann", ["customer"], kind="key", tenants={"acme": []}, scopes=scopes)


class FakeUsers:
    """Has the sessions."""

    sessions = FakeSessions()


class FakeAccess:
    """Has the keys."""

    keys = FakeKeys()


async def _status(
    headers: dict[str, str], cookies: dict[str, str], name: str = "user:ann", group: str = "g"
) -> int:
    authenticator = Authenticator(
        cast("Users", FakeUsers()),
        admin_token="admin",
        device_of_token=lambda token: {"tenant": "t", "device": "d"} if token == "device" else None,
        access=cast("Access", FakeAccess()),
    )
    return await stream_guard(authenticator)(headers, cookies, {}, name, group)


def _key(prefix: str) -> dict[str, str]:
    return {"authorization": f"Bearer tg_{prefix * 12}_{'x' * 43}"}


@pytest.mark.parametrize(
    ("headers", "cookies", "status"),
    [
        ({"authorization": "Bearer admin"}, {}, 200),
        ({"authorization": "Bearer device"}, {}, 403),
        ({"authorization": "Bearer wrong"}, COOKIES, 401),
        ({}, {}, 401),
        ({}, {COOKIE: "old"}, 401),
        ({}, COOKIES, 200),
        (SOCKET | OURS, COOKIES, 200),
        (SOCKET | OTHERS, COOKIES, 403),
        (SOCKET | {"sec-fetch-site": "cross-site"}, COOKIES, 403),
        (SOCKET | OTHERS | {"authorization": "Bearer admin"}, {}, 200),
        (_key("k"), {}, 200),
        (_key("w"), {}, 200),
        (_key("o"), {}, 403),
    ],
)
async def test_guard_lets_in_who_is_known(
    headers: dict[str, str], cookies: dict[str, str], status: int
) -> None:
    """The administrator, who is logged in, fitting keys; no foreign page's socket."""
    assert await _status(headers, cookies) == status


@pytest.mark.parametrize("headers", [{}, _key("k"), _key("w")])
async def test_guard_keeps_what_is_nobodys_from_users(headers: dict[str, str]) -> None:
    """A scope, which a user gives to his own keys, opens no more than he may follow."""
    assert await _status(headers, COOKIES, "game:42", "board") == 403
    assert await _status({"authorization": "Bearer admin"}, {}, "game:42", "board") == 200


@pytest.mark.parametrize(
    ("name", "group", "allowed"),
    [
        ("tenant:acme", "orders", True),
        ("orders", "tenant:acme", True),
        ("user:ann", "notices", True),
        ("notices", "user:ann", True),
        ("player:ann", "g", True),
        ("tenant:other", "orders", False),
        ("tenant:other", "tenant:acme", False),
        ("user:bob", "user:ann", False),
        ("tenant:acme2", "orders", False),
        ("tenant:acme:eu", "orders", False),
        ("orders", "tenant:acme:eu", False),
        ("user:annabel", "g", False),
        ("tenant:", "g", False),
        ("acme", "ann", False),
        ("game:42", "board", False),
    ],
)
def test_user_follows_what_bears_his_name(name: str, group: str, allowed: bool) -> None:  # noqa: FBT001
    """What is his tenant's or his own by name, else by group; nothing that only begins so."""
    user = make_caller("ann", ["customer"], kind="session", tenants={"acme": ["owner"]})

    assert may_follow(user, name, group) is allowed
    assert may_follow(make_caller("eve", ["streams"], kind="session"), name, group)
    assert may_follow(make_caller("root", ["admin"], kind="session"), name, group)


def test_role_inside_a_tenant_opens_no_other_stream() -> None:
    """Who is `streams` in a tenant follows the tenant's streams as any member does."""
    user = make_caller("ann", [], kind="session", tenants={"acme": ["streams"]})

    assert not may_follow(user, "tenant:other", "orders")
    assert may_follow(user, "tenant:acme", "orders")


def test_key_of_one_tenant_stays_in_it() -> None:
    """The role of its owner opens every stream to him, not to a key that he bound to a tenant."""
    key = make_caller("eve", ["streams"], kind="key", tenants={"acme": []}, tenant="acme")

    assert may_follow(key, "tenant:acme", "orders")
    assert not may_follow(key, "tenant:other", "orders")
