"""Users and passwords over HTTP: what is told, what is slowed, what is never said."""

from pathlib import Path
from threading import Event
from typing import Any, Literal

import anyio
import pytest
from argon2 import PasswordHasher

from tests.support.access import PASSWORD, QUICK, TOKEN, Instance, instance
from tests.support.steps import until
from tidegate.auth.accounts import Account
from tidegate.auth.passwords import AT_ONCE, MAX_WAITING, Passwords
from tidegate.auth.users import Users
from tidegate.errors import HTTPError

pytestmark = pytest.mark.anyio

LOGIN, USERS = "/api/v1/auth/login", "/api/v1/auth/users"


class CountingHasher(PasswordHasher):
    """Notes what it verifies against; holds every check until it is let go, when told to."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.hashes: list[str] = []
        self.at_once = self.most_at_once = 0
        self.go = Event()
        self.go.set()

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002
        """Verify as usual."""
        self.hashes.append(str(hash))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.go.wait(timeout=20)
        try:
            return super().verify(hash, password)
        finally:
            self.at_once -= 1


async def _login(here: Instance, username: str, password: str, **headers: str) -> Any:
    async with here.client(**headers) as client:
        return await client.post(LOGIN, json={"username": username, "password": password})


async def test_auth_wrong_logins_all_look_the_same(tmp_path: Path) -> None:
    """Unknown, disabled, without a password, wrong: one text, and one check of a hash each."""
    hasher = CountingHasher()
    async with instance(tmp_path, hasher=hasher) as here:
        await here.add_user("ada")
        await here.add_user("off", disabled=True)
        await here.access.users.add(Account(username="program"), None)
        attempts = [("ada", "wrong-password"), ("nobody", PASSWORD), ("off", PASSWORD)]
        attempts += [("program", PASSWORD), ("program", "")]
        answers = [await _login(here, name, password) for name, password in attempts]
        checks = list(hasher.hashes)
        usable = await here.access.users.verify("off", PASSWORD)

    assert [answer.status_code for answer in answers] == [401] * 5
    assert len({answer.content for answer in answers}) == 1
    assert usable is None
    assert [check.startswith("$argon2id$v=19$m=8,t=1") for check in checks] == [True] * 5


async def test_auth_login_limit_says_when_to_come_again(tmp_path: Path) -> None:
    """Ten failures for a name from an address; over after five minutes, however often one tries."""
    async with instance(tmp_path) as here:
        await here.add_user("ada")
        await here.add_user("bob")
        failures = []
        for _ in range(10):
            failures.append((await _login(here, "ada", "wrong-password")).status_code)
            here.tick(10)
        limited = await _login(here, "ada", PASSWORD)
        other = await _login(here, "bob", PASSWORD)
        here.tick(200)
        again = await _login(here, "ada", PASSWORD)

    assert failures == [401] * 10
    assert (limited.status_code, limited.headers["retry-after"]) == (429, "200")
    assert (other.status_code, again.status_code) == (200, 200)


async def test_auth_one_password_on_every_name_is_limited(tmp_path: Path) -> None:
    """A hundred failures from one address end it for all names; another address goes on."""
    async with instance(tmp_path) as here:
        await here.add_user("ada")
        users = here.access.users
        for number in range(100):
            assert await users.login(f"user{number}", "wrong-password", client="192.0.2.1") is None

        with pytest.raises(HTTPError) as limited:
            await users.login("ada", PASSWORD, client="192.0.2.1")
        elsewhere = await users.login("ada", PASSWORD, client="192.0.2.2")

    assert limited.value.status == 429
    assert elsewhere is not None


async def test_auth_own_account_does_not_reset_the_address(tmp_path: Path) -> None:
    """Who logs in between his guesses is limited all the same."""
    async with instance(tmp_path) as here:
        await here.add_user("eve")
        users = here.access.users
        for number in range(100):
            await users.login(f"user{number}", "wrong-password", client="192.0.2.1")
            if number == 50:
                assert await users.login("eve", PASSWORD, client="192.0.2.1") is not None

        with pytest.raises(HTTPError, match="too many failed logins"):
            await users.login("user0", "wrong-password", client="192.0.2.1")


async def test_auth_guesses_at_the_same_time_do_not_slip_through(tmp_path: Path) -> None:
    """Thirty at once are ten checks."""
    hasher = CountingHasher()
    async with instance(tmp_path, hasher=hasher) as here:
        await here.add_user("ada")
        async with anyio.create_task_group() as tasks:
            for _ in range(30):
                tasks.start_soon(_login, here, "ada", "wrong-password")

    assert len(hasher.hashes) == 10


async def test_auth_password_pool_is_bounded_and_so_is_its_queue(tmp_path: Path) -> None:
    """Two hash, 32 wait, the next is told to come again; and it costs him no attempt."""
    hasher = CountingHasher()
    hasher.go.clear()
    async with instance(tmp_path, hasher=hasher) as here:
        await here.add_user("ada")
        users, waiting = here.access.users, AT_ONCE + MAX_WAITING
        tokens: list[str | None] = []

        async def log_in(client: str) -> None:
            tokens.append(await users.login("ada", PASSWORD, client=client))

        async with anyio.create_task_group() as tasks:
            for number in range(waiting):
                tasks.start_soon(log_in, f"192.0.2.{number}")
            await until(lambda: users._passwords._under_way == waiting)
            refused = [await _login(here, "ada", PASSWORD) for _ in range(11)]
            hasher.go.set()
        after = await _login(here, "ada", PASSWORD)

    assert [answer.status_code for answer in refused] == [503] * 11
    assert refused[0].headers["retry-after"] == "1"
    assert (len(tokens), None in tokens, after.status_code) == (waiting, False, 200)
    assert hasher.most_at_once <= AT_ONCE


async def test_auth_login_renews_a_hash_of_other_parameters(tmp_path: Path) -> None:
    """Once, at the next login; the session of before stays."""
    async with instance(tmp_path) as here:
        await here.add_user("ada")
        session = await here.access.users.login("ada", PASSWORD)
        stronger = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1)
        users = Users(here.engine, passwords=Passwords(stronger))
        before = await users.find("ada")
        assert await users.login("ada", PASSWORD) is not None
        after = await users.find("ada")
        kept = await users.of_session(session or "")

    assert before is not None
    assert after is not None
    assert "m=8,t=1" in (before.hash or "")
    assert "m=16,t=2" in (after.hash or "")
    assert kept is not None


async def test_auth_password_changed_while_a_login_was_checked(tmp_path: Path) -> None:
    """A login with the old password that ends after the change opens nothing."""
    hasher = CountingHasher()
    async with instance(tmp_path, hasher=hasher) as here:
        await here.add_user("ada")
        answers: list[Any] = []

        async def log_in() -> None:
            answers.append(await _login(here, "ada", PASSWORD))

        hasher.go.clear()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(log_in)
            await until(lambda: len(hasher.hashes) == 1)
            await here.access.users.set_password("ada", "another horse")
            hasher.go.set()

    assert [answer.status_code for answer in answers] == [401]


async def test_auth_password_is_changed_by_who_knows_the_old_one(tmp_path: Path) -> None:
    """A wrong old one is 403 and limited; a new one that is not taken changes nothing."""
    path = "/api/v1/auth/password"
    async with instance(tmp_path) as here:
        await here.add_user("ada")
        async with here.client((await here.log_in("ada"))["access_token"]) as ada:

            async def change(old: str, new: str) -> int:
                body = {"old_password": old, "new_password": new}
                return (await ada.post(path, json=body)).status_code

            refused = [await change("wrong-password", "another horse"), await change(PASSWORD, "x")]
            changed = await change(PASSWORD, "another horse")
            ended = await change("another horse", "a third horse")
        logins = [await _login(here, "ada", word) for word in (PASSWORD, "another horse")]

    assert (refused, changed, ended) == ([403, 422], 204, 401)
    assert [answer.status_code for answer in logins] == [401, 200]


async def test_auth_administrator_manages_users(tmp_path: Path) -> None:
    """Add, list, page, change, set a password; a double name is 409, a missing one 404."""
    async with instance(tmp_path) as here, here.client(TOKEN) as admin:
        body = {"username": "ada", "password": PASSWORD, "tenants": {"acme": ["owner"]}}
        added = await admin.post(USERS, json=body)
        double = await admin.post(USERS, json=body)
        program = await admin.post(USERS, json={"username": "ci"})
        pages = [
            (await admin.get(USERS, params={"limit": 1, "cursor": c})).json() for c in ("", "ada")
        ]
        changed = await admin.patch(f"{USERS}/ada", json={"roles": ["editor"], "tenant": "acme"})
        word = await admin.post(f"{USERS}/ada/password", json={"password": "another horse"})
        missing = [
            await admin.patch(f"{USERS}/bob", json={}),
            await admin.post(f"{USERS}/bob/password", json={"password": "another horse"}),
        ]
        login = await _login(here, "ada", "another horse")

    assert (added.status_code, double.status_code, program.status_code) == (201, 409, 201)
    assert [page["users"][0]["username"] for page in pages] == ["ada", "ci"]
    assert pages[0]["next_cursor"] == "ada"
    assert changed.json() == {
        "username": "ada",
        "roles": ["editor"],
        "tenants": {"acme": ["owner"]},
        "tenant": "acme",
        "scopes": ["*"],
        "disabled": False,
        "has_password": True,
    }
    assert [answer.status_code for answer in (word, *missing, login)] == [200, 404, 404, 200]
    assert "argon2" not in added.text + changed.text


async def test_auth_only_administrators_manage_users(tmp_path: Path) -> None:
    """A user is 403, a device is 403, nobody is 401."""
    async with instance(tmp_path) as here:
        await here.add_user("ada", roles=("editor",))
        person = (await here.log_in("ada"))["access_token"]

        statuses = [await here.status(bearer, USERS) for bearer in (person, "device-token", None)]

    assert statuses == [403, 403, 401]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[]", 422),
        (b'"hunter2hunter2"', 422),
        (b'{"username": "ada", "password": 12345678901}', 422),
        (b'{"username": "ada", "password": "hunter2hunter2", "more": 1}', 422),
        (b'{"username": "ada"}', 422),
        (b"", 422),
        (b'{"username": "\\ud800", "password": "hunter2hunter2"}', 400),
        (b'{"username": "a\\u0000", "password": "hunter2hunter2"}', 401),
    ],
)
async def test_auth_odd_login_bodies_are_refused_without_their_text(
    tmp_path: Path, body: bytes, status: int
) -> None:
    """What does not fit is refused; no password comes back in the answer."""
    async with instance(tmp_path) as here, here.client() as client:
        answer = await client.post(
            LOGIN, content=body, headers={"content-type": "application/json"}
        )

    assert answer.status_code == status
    assert "hunter2" not in answer.text
    assert "12345678901" not in answer.text


async def test_auth_login_from_another_site_is_refused(tmp_path: Path) -> None:
    """Another site cannot log a person in under a name of its choice."""
    async with instance(tmp_path) as here:
        await here.add_user("ada")
        answer = await _login(here, "ada", PASSWORD, **{"sec-fetch-site": "cross-site"})

    assert answer.status_code == 403


async def test_auth_sessions_of_before_are_known(tmp_path: Path) -> None:
    """Users and sessions that an earlier version wrote keep working, and can be ended."""
    old = {"hash": QUICK.hash(PASSWORD), "roles": ["admin"]}
    async with instance(tmp_path) as here:
        await here.put("tidegate.users", "admin", old)
        token = await here.access.users.login("admin", PASSWORD)
        async with here.client() as client:
            client.cookies.set("tidegate_session", token or "")
            before = await client.get("/api/v1/auth/me")
            await here.access.users.end_all("admin")
            after = await client.get("/api/v1/auth/me")

    assert (before.status_code, before.json()["roles"]) == (200, ["admin"])
    assert after.status_code == 401


async def test_auth_websocket_by_cookie_needs_our_own_page(tmp_path: Path) -> None:
    """A page of another port of this machine opens no connection in a person's name."""
    upgrade = {"upgrade": "websocket", "connection": "Upgrade"}
    async with instance(tmp_path) as here:
        await here.add_user("ada")
        async with here.client(**upgrade) as client:
            client.cookies.set(
                "tidegate_session", await here.access.users.login("ada", PASSWORD) or ""
            )
            foreign = await client.get("/api/v1/auth/me", headers={"origin": "http://here:9"})
            own = await client.get("/api/v1/auth/me", headers={"origin": "http://here"})

    assert (foreign.status_code, own.status_code) == (403, 200)
