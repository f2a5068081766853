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


class FakeUsers:
    """Knows one session."""

    async def of_session(self, token: str) -> dict[str, Any] | None:
        """Return its user."""
        return {"userId": "ann", "roles": ["customer"]} if token == "session" else None


async def _status(headers: dict[str, str], cookies: dict[str, str]) -> int:
    guard = stream_guard(
        Authenticator(
            cast("Users", FakeUsers()),
            admin_token="admin",
            device_of_token=lambda token: (
                {"tenant": "t", "device": "d"} if token == "device" else None
            ),
        )
    )
    return await guard(headers, cookies, {}, "game", "g")


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
