"""Refresh tokens over HTTP: rotated, stolen, idle, ended."""

from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.support.access import PASSWORD, instance
from tests.support.tokens import LOGOUT, refresh, refused

pytestmark = pytest.mark.anyio


async def test_auth_refresh_rotates(tmp_path: Path) -> None:
    """Each use gives the next token; the last one works, and all opens as before."""
    async with instance(tmp_path) as here:
        await here.add_user("ada")
        token = (await here.log_in("ada"))["refresh_token"]
        given = [token]
        for _ in range(3):
            here.tick(600)
            status, tokens = await refresh(here, given[-1])
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
        _, tokens = await refresh(here, stolen)
        before = refused("refresh_reused")
        here.tick(11)

        thief, _ = await refresh(here, stolen)
        owner, _ = await refresh(here, tokens["refresh_token"])
        access = await here.status(tokens["access_token"])

    assert (thief, owner, access) == (401, 401, 401)
    assert refused("refresh_reused") == before + 1


async def test_auth_old_voided_refresh_token_is_recognised_too(tmp_path: Path) -> None:
    """Theft is noticed also by a token from many rotations ago, at once."""
    async with instance(tmp_path) as here:
        await here.add_user("ada")
        first = (await here.log_in("ada"))["refresh_token"]
        current = first
        for _ in range(5):
            _, tokens = await refresh(here, current)
            current = tokens["refresh_token"]

        thief, _ = await refresh(here, first)
        owner, _ = await refresh(here, current)

    assert (thief, owner) == (401, 401)


async def test_auth_lost_answer_is_given_again(tmp_path: Path) -> None:
    """Within ten seconds the voided token answers the same next one, and revokes nothing."""
    async with instance(tmp_path) as here:
        await here.add_user("ada")
        token = (await here.log_in("ada"))["refresh_token"]
        _, first = await refresh(here, token)
        here.tick(9)
        status, again = await refresh(here, token)
        goes_on, _ = await refresh(here, again["refresh_token"])

    assert (status, goes_on) == (200, 200)
    assert again["refresh_token"] == first["refresh_token"]


async def test_auth_twenty_refreshes_at_once_rotate_once(tmp_path: Path) -> None:
    """Exactly one of them rotates; all hold its token, which works."""
    async with instance(tmp_path) as here:
        await here.add_user("ada")
        token = (await here.log_in("ada"))["refresh_token"]
        answers: list[tuple[int, dict[str, Any]]] = []

        async def once() -> None:
            answers.append(await refresh(here, token))

        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(once)
        following = {body["refresh_token"] for _, body in answers}
        goes_on, _ = await refresh(here, min(following))

    assert [status for status, _ in answers] == [200] * 20
    assert len(following) == 1
    assert goes_on == 200


async def test_auth_invented_refresh_token_revokes_nothing(tmp_path: Path) -> None:
    """Who knows only a family's name cannot end it."""
    async with instance(tmp_path) as here:
        await here.add_user("ada")
        token = (await here.log_in("ada"))["refresh_token"]
        family = token.split("_")[1]
        invented, _ = await refresh(here, f"tgr_{family}_{'0' * 64}_{'0' * 64}")
        nonsense, _ = await refresh(here, "tgr_x")
        owner, _ = await refresh(here, token)

    assert (invented, nonsense, owner) == (401, 401, 200)


async def test_auth_family_ends_after_seven_idle_days(tmp_path: Path) -> None:
    """One refresh a week keeps it, a second later it is over."""
    week = 7 * 24 * 3600
    async with instance(tmp_path) as here:
        await here.add_user("ada")
        token = (await here.log_in("ada"))["refresh_token"]
        here.tick(week - 1)
        kept, tokens = await refresh(here, token)
        here.tick(week)
        over, _ = await refresh(here, tokens["refresh_token"])

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
            status, tokens = await refresh(here, token)
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
            (await refresh(here, ended["refresh_token"]))[0],
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
        assert (await refresh(here, tokens["refresh_token"]))[0] == 401


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
            assert (await refresh(here, tokens["refresh_token"]))[0] == 401
