"""Users and their sessions, kept in the state of the step engine."""

import hashlib
import secrets
from typing import Any

import msgspec

from tidegate.auth.passwords import Passwords
from tidegate.auth.session import TTL_S
from tidegate.contract import Context
from tidegate.engine.engine import Engine
from tidegate.errors import HTTPError

_FAILURES_TTL_S = 300
_MAX_FAILURES = 10
_USERS, _SESSIONS, _FAILURES = "tidegate.users", "tidegate.sessions", "tidegate.login_failures"


class User(msgspec.Struct, frozen=True, rename="camel"):
    """Who a request acts for; `req.user` is this as a dict."""

    user_id: str
    roles: tuple[str, ...]


class Users:
    """Log in, log out, and find the user of a session."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._passwords = Passwords()

    async def exists(self, username: str) -> bool:
        """Tell whether there is such a user."""
        return await self._get(_USERS, username) is not None

    async def set_password(self, username: str, password: str, *, roles: tuple[str, ...]) -> None:
        """Make a user, or give one a new password and roles."""
        record = {"hash": await self._passwords.hash(password), "roles": list(roles)}

        async def save(ctx: Context) -> None:
            await ctx.state.set(_USERS, username, record)

        await self._engine.transact(save)

    async def login(self, username: str, password: str, *, client: str = "") -> str | None:
        """Return the token of a new session, or None when name or password is wrong.

        `client` is the caller's address: failures are counted for each name and address, so
        that nobody can lock another out.

        Raises:
            HTTPError: 429 after ten failures within five minutes.
        """
        attempt = _key(f"{username}\n{client}")
        # Counted before the slow check: attempts at the same time do not slip through together.
        if await self._count_attempt(attempt) > _MAX_FAILURES:
            raise HTTPError(429, "too many failed logins; try again in five minutes")
        user = await self._get(_USERS, username)
        if not await self._passwords.verify(password, user["hash"] if user else None):
            return None
        token = secrets.token_urlsafe(32)
        session = {"userId": username, "roles": user["roles"]}

        async def save(ctx: Context) -> None:
            await ctx.state.set(_SESSIONS, _key(token), session, TTL_S)
            await ctx.state.delete(_FAILURES, attempt)

        await self._engine.transact(save)
        return token

    async def logout(self, token: str) -> None:
        """End a session; one that is not there is fine."""

        async def end(ctx: Context) -> None:
            await ctx.state.delete(_SESSIONS, _key(token))

        await self._engine.transact(end)

    async def of_session(self, token: str) -> dict[str, Any] | None:
        """Return the user of a session, None when it is unknown or over."""
        session: dict[str, Any] | None = await self._get(_SESSIONS, _key(token))
        return session

    async def _get(self, group: str, key: str) -> Any:
        async def get(ctx: Context) -> Any:
            return await ctx.state.get(group, key)

        return await self._engine.transact(get)

    async def _count_attempt(self, attempt: str) -> int:
        async def count(ctx: Context) -> int:
            attempts: int = (await ctx.state.get(_FAILURES, attempt) or 0) + 1
            await ctx.state.set(_FAILURES, attempt, attempts, _FAILURES_TTL_S)
            return attempts

        return await self._engine.transact(count)


def _key(secret: str) -> str:
    """Keep only hashes: who reads the database cannot take a session over."""
    return hashlib.sha256(secret.encode()).hexdigest()
