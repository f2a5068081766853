"""Users, kept in the state of the step engine: who there is, and whether a password is right."""

from collections.abc import Callable
from typing import Any

import msgspec

from tidegate.auth.accounts import USERS, Account, account_in, check_account, save_account
from tidegate.auth.attempts import Attempts
from tidegate.auth.passwords import Passwords, check_password
from tidegate.auth.refusals import Refused, count_refusal
from tidegate.auth.sessions import Sessions
from tidegate.contract import Context
from tidegate.engine.engine import Engine
from tidegate.errors import HTTPError


class Users:
    """Add, change and find users; check their passwords; their sessions in browsers."""

    def __init__(self, engine: Engine, *, passwords: Passwords | None = None) -> None:
        self.engine = engine
        self.sessions = Sessions(engine)
        self._passwords = passwords or Passwords()
        self._attempts = Attempts(engine)

    async def exists(self, username: str) -> bool:
        """Tell whether there is such a user."""
        return await self.find(username) is not None

    async def find(self, username: str) -> Account | None:
        """Return a user, None when there is none."""
        return await self.engine.transact(lambda ctx: account_in(ctx, username))

    async def page(self, *, limit: int, after: str = "") -> list[Account]:
        """Return users in order of their names, those after a name."""
        records = await self.engine.transact(lambda ctx: ctx.state.get_group(USERS))
        accounts = [msgspec.convert(record, Account) for record in records]
        return [account for account in accounts if account.username > after][:limit]

    async def add(self, account: Account, password: str | None) -> Account:
        """Add a user; without a password it can only own API keys.

        Raises:
            HTTPError: 422 a part is not as it must be, 409 there is one of that name.
        """
        check_account(account)
        hashed = None if password is None else await self._hash(account.username, password)
        added = msgspec.structs.replace(account, hash=hashed)

        async def save(ctx: Context) -> bool:
            if await account_in(ctx, account.username) is not None:
                return False
            await save_account(ctx, added)
            return True

        if not await self.engine.transact(save):
            raise HTTPError(409, f"there is a user '{account.username}' already")
        return added

    async def change(self, username: str, change: Callable[[Account], Account]) -> Account:
        """Replace a user by `change(user)`; it may be called several times.

        Raises:
            HTTPError: 404 no such user, 422 a part is not as it must be.
        """

        async def save(ctx: Context) -> Account | None:
            account = await account_in(ctx, username)
            if account is None:
                return None
            changed = change(account)
            check_account(changed)
            await save_account(ctx, changed)
            return changed

        changed = await self.engine.transact(save)
        if changed is None:
            raise HTTPError(404, "no such user")
        return changed

    async def set_password(
        self, username: str, password: str, *, roles: tuple[str, ...] | None = None
    ) -> None:
        """Make a user, or give one a new password, and roles where they are given.

        Whatever was begun with the old password ends.

        Raises:
            HTTPError: 422 a password that is not taken.
        """
        hashed = await self._hash(username, password)

        async def save(ctx: Context) -> None:
            account = await account_in(ctx, username) or Account(username=username)
            kept = account.roles if roles is None else roles
            changed = msgspec.structs.replace(_with_hash(account, hashed), roles=kept)
            check_account(changed)
            await save_account(ctx, changed)

        await self.engine.transact(save)

    async def change_password(self, username: str, old: str, new: str, *, client: str) -> None:
        """Give a user that knows the old password a new one; all that was begun ends.

        Raises:
            HTTPError: 422 the new one is not taken, 403 the old one is wrong, 429, 503.
        """
        check_password(new, username=username)
        account = await self.verify(username, old, client=client)
        if account is None:
            raise HTTPError(403, "the old password is wrong")
        hashed = await self._hash(username, new)

        def change(now: Account) -> Account:
            if now.generation != account.generation or now.disabled:
                raise HTTPError(409, "the account has been changed meanwhile; log in again")
            return _with_hash(now, hashed)

        await self.change(username, change)

    async def verify(self, username: str, password: str, *, client: str = "") -> Account | None:
        """Return the user whose name and password these are, else None after the same time.

        Raises:
            HTTPError: 429 after ten failures within five minutes for the name from the address,
                or a hundred from the address; 503 too many log in at once.
        """
        await self._attempts.begin(username, client)
        account = await self.find(username)
        usable = None if account is None or account.disabled else account
        try:
            right = await self._passwords.verify(password, usable.hash if usable else None)
        except HTTPError:
            await self._attempts.not_tried(username, client)
            raise
        if usable is None or not right:
            count_refusal("password")
            return None
        await self._attempts.succeeded(username, client)
        await self._renew_hash(usable, password)
        return usable

    async def end_all(self, username: str) -> None:
        """End every session and every refresh family of a user; API keys stay."""
        await self.change(username, ended)

    async def login(self, username: str, password: str, *, client: str = "") -> str | None:
        """Return the token of a new session, or None when name or password is wrong.

        `client` is the caller's address. Raises as `verify` does.
        """
        account = await self.verify(username, password, client=client)
        return None if account is None else await self.sessions.begin(account)

    async def logout(self, token: str) -> None:
        """End a session; one that is not there is fine."""
        await self.sessions.end(token)

    async def of_session(self, token: str) -> dict[str, Any] | None:
        """Return the user of a session, None when it is unknown or over."""
        try:
            return await self.sessions.caller(token)
        except Refused:
            return None

    async def _hash(self, username: str, password: str) -> str:
        check_password(password, username=username)
        return await self._passwords.hash(password)

    async def _renew_hash(self, account: Account, password: str) -> None:
        """Hash the password anew when hashes are made with other parameters by now."""
        old = account.hash or ""
        if not self._passwords.is_outdated(old):
            return
        try:
            renewed = await self._passwords.hash(password)
        except HTTPError:
            return  # Too short by today's rules, or too busy: the old hash does for now.

        def renew(now: Account) -> Account:
            return msgspec.structs.replace(now, hash=renewed) if now.hash == old else now

        await self.change(account.username, renew)


def ended(account: Account) -> Account:
    """Return the account with everything ended that was begun before."""
    return msgspec.structs.replace(account, generation=account.generation + 1)


def _with_hash(account: Account, hashed: str) -> Account:
    return msgspec.structs.replace(ended(account), hash=hashed)
