"""Logging in and out, by calling the steps."""

from typing import Any

import pytest

from cloud.dashboard.steps import login_page_step, login_step, logout_step
from cloud.settings import Http, Settings
from tests.support.fake_context import FakeContext
from tidegate.errors import HTTPError
from tidegate.http.request import Request

pytestmark = pytest.mark.anyio

OURS = {"host": "a:8080", "origin": "http://a:8080"}


class FakeUsers:
    """One user, admin with the password `right`; after `locked` every attempt is too many."""

    def __init__(self, *, locked: bool = False) -> None:
        self.locked = locked
        self.ended: list[str] = []
        self.clients: list[str] = []

    async def login(self, username: str, password: str, *, client: str = "") -> str | None:
        """Return a token for the right password."""
        self.clients.append(client)
        if self.locked:
            raise HTTPError(429, "too many failed logins")
        return "token" if (username, password) == ("admin", "right") else None

    async def logout(self, token: str) -> None:
        """Note the end of a session."""
        self.ended.append(token)


async def log_in(
    fields: object, headers: dict[str, str] | None = None, **options: Any
) -> dict[str, Any]:
    """Send the login form."""
    return await login_step.handler(
        Request(body=fields, headers=headers or OURS, client="192.0.2.7"),
        FakeContext(),
        users=options.get("users", FakeUsers()),
        settings=options.get("settings", Settings()),
    )


async def test_login_sets_the_cookie_and_goes_to_the_asked_page() -> None:
    """The right password begins a session and leads to where the person wanted to go."""
    fields = {"username": "admin", "password": "right", "next": "/devices/plant/größe?range=6h"}

    answer = await log_in(fields)

    assert answer["status"] == 303
    assert answer["headers"]["Location"] == "/devices/plant/gr%C3%B6%C3%9Fe?range=6h"
    assert answer["headers"]["Set-Cookie"].startswith("tidegate_session=token; Path=/;")
    assert "Secure" not in answer["headers"]["Set-Cookie"]


async def test_login_says_where_the_attempt_comes_from() -> None:
    """Failures are counted for each address, so that nobody locks another out."""
    users = FakeUsers()

    await log_in({"username": "admin", "password": "wrong"}, users=users)

    assert users.clients == ["192.0.2.7"]


async def test_login_over_https_makes_the_cookie_secure() -> None:
    """Behind a proxy or a public address with HTTPS the cookie travels only there."""
    fields = {"username": "admin", "password": "right"}
    settings = Settings(http=Http(public_url="https://pages.example"))

    by_proxy = await log_in(fields, {**OURS, "x-forwarded-proto": "https"})
    by_address = await log_in(
        fields, {"origin": "https://pages.example", "host": "a"}, settings=settings
    )

    assert by_proxy["headers"]["Set-Cookie"].endswith("; Secure")
    assert by_address["headers"]["Set-Cookie"].endswith("; Secure")


async def test_login_does_not_lead_to_another_site() -> None:
    """A link that hides another site behind the login ends on the overview."""
    fields = {"username": "admin", "password": "right", "next": "//evil.example/"}

    answer = await log_in(fields)

    assert answer["headers"]["Location"] == "/"


@pytest.mark.parametrize(
    "fields",
    [
        {"username": "admin", "password": "wrong"},
        {"username": "admin", "password": ""},
        {"username": "", "password": "right"},
        {"username": "admin", "password": "x" * 100_000},
        {},
        None,
        b"binary",
    ],
)
async def test_login_refuses_without_saying_which_part_is_wrong(fields: object) -> None:
    """A wrong or missing name or password shows the form again, without a cookie."""
    answer = await log_in(fields)

    assert answer["status"] == 401
    assert "User name or password is wrong." in answer["body"]
    assert "Set-Cookie" not in answer["headers"]
    assert "wrong</" not in answer["body"].replace("is wrong.</", "")


async def test_login_never_shows_the_password_again() -> None:
    """After a failure the name is filled in, the password is not in the page."""
    answer = await log_in({"username": "adm<in", "password": "s3cret-s3cret"})

    assert 'value="adm&lt;in"' in answer["body"]
    assert "s3cret" not in answer["body"]


async def test_login_tells_when_there_were_too_many_attempts() -> None:
    """The rate limit is shown on the page, with its status."""
    answer = await log_in({"username": "admin", "password": "right"}, users=FakeUsers(locked=True))

    assert answer["status"] == 429
    assert "Too many failed attempts" in answer["body"]


async def test_login_form_from_elsewhere_is_refused() -> None:
    """Another site cannot log a person in under a name of its choice."""
    with pytest.raises(HTTPError) as refused:
        await log_in(
            {"username": "admin", "password": "right"},
            {"host": "a:8080", "origin": "https://evil.example"},
        )

    assert refused.value.status == 403


async def test_login_page_keeps_only_a_local_next() -> None:
    """The form carries the path to go to, and never another site."""

    async def shown(target: str) -> str:
        req = Request(query_params={"next": target})
        answer = await login_page_step.handler(req, FakeContext(), settings=Settings())
        return str(answer["body"])

    assert 'name="next" value="/alerts"' in await shown("/alerts")
    assert 'name="next" value="/"' in await shown("https://evil.example")


async def test_logout_ends_the_session_and_the_cookie() -> None:
    """Leaving ends the session on the server and in the browser."""
    users = FakeUsers()
    req = Request(headers=OURS, cookies={"tidegate_session": "token"})

    answer = await logout_step.handler(req, FakeContext(), users=users, settings=Settings())

    assert users.ended == ["token"]
    assert answer["headers"]["Location"] == "/login"
    assert "Max-Age=0" in answer["headers"]["Set-Cookie"]


async def test_logout_from_elsewhere_is_refused() -> None:
    """Another site cannot log a person out."""
    users = FakeUsers()
    req = Request(headers={"sec-fetch-site": "cross-site"}, cookies={"tidegate_session": "token"})

    with pytest.raises(HTTPError):
        await logout_step.handler(req, FakeContext(), users=users, settings=Settings())

    assert users.ended == []
