"""Access tokens and the refresh families behind them: log in, refresh, log out, who is it."""

import secrets
from contextlib import suppress
from typing import NamedTuple

from tidegate.auth.accounts import Account, caller_of
from tidegate.auth.caller import Record
from tidegate.auth.claims import LIFETIME_S, check_claims, claims_for
from tidegate.auth.families import Families, Issued
from tidegate.auth.refusals import Refused
from tidegate.auth.signing import SigningKeys
from tidegate.auth.users import Users


class Tokens(NamedTuple):
    """What a login or a refresh gives; times in seconds."""

    account: Account
    access: str
    access_expires_in_s: int
    refresh: str
    refresh_expires_in_s: int


class TokenIssuer:
    """Gives out access tokens of 15 minutes with a refresh token, and knows them again."""

    def __init__(self, users: Users, signing: SigningKeys) -> None:
        self.families = Families(users.engine)
        self.signing = signing
        self._users = users

    async def log_in(self, username: str, password: str, *, client: str) -> Tokens | None:
        """Begin a family; None when name or password is wrong. Raises as `Users.verify` does."""
        account = await self._users.verify(username, password, client=client)
        issued = None if account is None else await self.families.begin(account)
        return None if issued is None else self._with_access(issued)

    async def refresh(self, token: str) -> Tokens:
        """Return new tokens for a refresh token, which is void from now on.

        Raises:
            Refused: it does not hold.
        """
        return self._with_access(await self.families.rotate(token))

    async def caller(self, token: str) -> Record:
        """Return who an access token stands for, with the roles of now.

        Raises:
            Refused: it does not hold, its family has ended, or its user may not call any more.
        """
        claims = check_claims(self.signing.verify(token, self._now_s()), self._now_s())
        account = await self._users.find(claims.sub)
        if account is None or account.disabled:
            raise Refused("account")
        if not await self.families.is_alive(claims.sid, account):
            raise Refused("session")
        caller = caller_of(account, "jwt")
        caller["sid"] = claims.sid
        return caller

    async def end_of_token(self, token: str) -> None:
        """End the family of an access token; nothing happens when the token does not hold."""
        with suppress(Refused):
            await self.families.end((await self.caller(token))["sid"])

    def _with_access(self, issued: Issued) -> Tokens:
        claims = claims_for(
            issued.account, sid=issued.family, jti=secrets.token_hex(16), now_s=self._now_s()
        )
        access = self.signing.sign(claims)
        return Tokens(issued.account, access, LIFETIME_S, issued.token, issued.expires_in_s)

    def _now_s(self) -> int:
        return self._users.engine.now_ms() // 1000
