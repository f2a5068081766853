"""Who may follow streams."""

from typing import Any, cast

import pytest

from tidegate.auth.middleware import Authenticator
from tidegate.auth.session import COOKIE
from tidegate.auth.streams import stream_guard
from tidegate.auth.users import Users

pytestmark = pytest.mark.anyio
COOKIES = {COOKIE: "session"}
OURS = {"origin": "http://here", "host": "here"}
OTHERS = {"origin": "http://evil", "host": "here"}
SOCKET = {"upgrade": "WebSocket"}


class FakeSessions:
    """Knows one session."""

    async def caller(self, token: str) -> Record:
        """Return its user."""
        if token != "session":
            raise Refused("session")
        return make_caller("ann", ["customer"], kind="session")


class FakeKeys:
    """Knows keys by the scope that they are named after."""

    async def caller(self, key: ParsedKey) -> Record:
        """Return the key's user."""
        return make_caller("bot", ["customer"], kind="key", scopes=[SCOPES[key.prefix]])


class FakeUsers:
    """Has them."""

    sessions = FakeSessions()


class FakeAccess:
    """Has them, too."""

    keys = FakeKeys()


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
    ],
)
async def test_guard_lets_in_who_is_known(
    headers: dict[str, str], cookies: dict[str, str], status: int
) -> None:
    """The administrator and who is logged in; a foreign page's socket is not its user."""
    assert await _status(headers, cookies) == status
