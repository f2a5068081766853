"""Sessions of browsers: a random cookie, of which only the hash is kept."""

import hashlib
import secrets

from tidegate.auth.accounts import Account, account_in, caller_of, live_account
from tidegate.auth.caller import Record
from tidegate.auth.refusals import Refused
from tidegate.auth.session import TTL_S
from tidegate.contract import Context
from tidegate.engine.engine import Engine

_SESSIONS = "tidegate.sessions"


class Sessions:
    """Begin, end and find sessions; they last seven days, or until all of a user's end."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def begin(self, account: Account) -> str | None:
        """Return a new session's token, None when the account changed since it was read."""
        token = secrets.token_urlsafe(32)
        session = {"userId": account.username, "generation": account.generation}

        async def save(ctx: Context) -> bool:
            if await live_account(ctx, account.username, account.generation) is None:
                return False
            await ctx.state.set(_SESSIONS, _key(token), session, TTL_S)
            return True

        return token if await self._engine.transact(save) else None

    async def end(self, token: str) -> None:
        """End a session; one that is not there is fine."""

        async def end(ctx: Context) -> None:
            await ctx.state.delete(_SESSIONS, _key(token))

        await self._engine.transact(end)

    async def caller(self, token: str) -> Record:
        """Return the user of a session.

        Raises:
            Refused: it is unknown or over, or the user is disabled or has a new password.
        """
        session = await self._engine.transact(lambda ctx: ctx.state.get(_SESSIONS, _key(token)))
        if session is None:
            raise Refused("session")
        name, generation = session["userId"], session.get("generation", 0)
        account = await self._engine.transact(lambda ctx: account_in(ctx, name))
        if account is None or account.disabled or account.generation != generation:
            raise Refused("session")
        return caller_of(account, "session")


def _key(token: str) -> str:
    """Keep only hashes: who reads the database cannot take a session over."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()
