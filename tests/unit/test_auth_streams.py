"""Who may follow streams."""

from typing import cast

import pytest

from tidegate.auth.access import Access
from tidegate.auth.authenticator import Authenticator
from tidegate.auth.caller import Record, make_caller
from tidegate.auth.key_format import KeyText
from tidegate.auth.refusals import Refused
from tidegate.auth.session import COOKIE
from tidegate.auth.streams import stream_guard
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
        return make_caller("bot", ["customer"], kind="key", scopes=[SCOPES[key.prefix]])


class FakeUsers:
    """Has the sessions."""

    sessions = FakeSessions()


class FakeAccess:
    """Has the keys."""

    keys = FakeKeys()


async def _status(headers: dict[str, str], cookies: dict[str, str]) -> int:
    authenticator = Authenticator(
        cast("Users", FakeUsers()),
        admin_token="admin",
        device_of_token=lambda token: {"tenant": "t", "device": "d"} if token == "device" else None,
        access=cast("Access", FakeAccess()),
    )
    return await stream_guard(authenticator)(headers, cookies, {}, "game", "g")


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
