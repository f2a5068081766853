"""Refresh families: what one login became, over all its refresh tokens.

Each use of a token gives the next and voids it. A voided token that is used again was stolen, or
what followed it was: the family is revoked. For ten seconds after a rotation the token before
answers *the same* next token once more, which is the honest double click, the second tab, the
answer that was lost on the way; that is why the next secret follows from the one before and a
salt, rather than from chance alone: nothing but hashes is kept, and still it can be said again.
"""

import hmac
import secrets
from typing import NamedTuple

import msgspec
import structlog

from tidegate.auth.accounts import Account, live_account
from tidegate.auth.refresh_token import (
    SECRET_BYTES,
    RefreshToken,
    following,
    hash_of,
    is_marked,
    marked,
    parsed,
)
from tidegate.auth.refusals import Reason, Refused
from tidegate.contract import Context
from tidegate.engine.engine import Engine

ABSOLUTE_S = 30 * 24 * 3600
IDLE_S = 7 * 24 * 3600
GRACE_S = 10
_FAMILIES = "tidegate.refresh_families"

log = structlog.get_logger()


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """One family as it is kept; times in Unix seconds."""

    user_id: str
    generation: int
    hash: str
    mark_key: str
    ends_at: float
    previous: str = ""
    salt: str = ""
    rotated_at: float = 0.0


class Issued(NamedTuple):
    """A refresh token that was given out, whose it is, and for how long it may wait unused."""

    account: Account
    family: str
    token: str
    expires_in_s: int


class Families:
    """Begin, rotate and end families."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def begin(self, account: Account) -> Issued | None:
        """Return the first token of a new family; None when the account changed meanwhile."""
        name, secret = secrets.token_hex(16), secrets.token_hex(SECRET_BYTES)
        mark_key = secrets.token_hex(SECRET_BYTES)

        async def save(ctx: Context) -> Issued | None:
            if await live_account(ctx, account.username, account.generation) is None:
                return None
            family = Family(
                user_id=account.username,
                generation=account.generation,
                hash=hash_of(secret),
                mark_key=mark_key,
                ends_at=ctx.now().timestamp() + ABSOLUTE_S,
            )
            left_s = await _keep(ctx, name, family)
            return Issued(account, name, str(marked(name, secret, mark_key)), left_s)

        return await self._engine.transact(save)

    async def rotate(self, text: str) -> Issued:
        """Return the token that follows.

        Of several uses at the same time one rotates; the others get what it made.

        Raises:
            Refused: the token is unknown or over, or was voided: then its family is revoked.
        """
        token = parsed(text)
        if token is None:
            raise Refused("refresh_unknown")
        outcome = await self._engine.transact(lambda ctx: _rotated(ctx, token))
        if isinstance(outcome, Issued):
            return outcome
        if outcome == "refresh_reused":
            log.warning("refresh.reused", family=token.family)
        raise Refused(outcome)

    async def is_alive(self, name: str, account: Account) -> bool:
        """Tell whether a family of the user goes on."""
        record = await self._engine.transact(lambda ctx: ctx.state.get(_FAMILIES, name))
        if record is None:
            return False
        family = msgspec.convert(record, Family)
        whose = (family.user_id, family.generation)
        return whose == (account.username, account.generation)

    async def end(self, name: str) -> None:
        """End a family; one that is not there is fine."""

        async def end(ctx: Context) -> None:
            await ctx.state.delete(_FAMILIES, name)

        await self._engine.transact(end)

    async def end_of(self, text: str) -> None:
        """End the family that gave a token out, also by a voided one; else nothing happens."""
        token = parsed(text)
        if token is None:
            return

        async def end(ctx: Context) -> None:
            family = await _family_in(ctx, token.family)
            if family is not None and is_marked(token, family.mark_key):
                await ctx.state.delete(_FAMILIES, token.family)

        await self._engine.transact(end)


async def _rotated(ctx: Context, token: RefreshToken) -> Issued | Reason:
    """Rotate inside a transaction; what is refused is returned, so that a revocation commits."""
    family = await _family_in(ctx, token.family)
    if family is None or not is_marked(token, family.mark_key):
        return "refresh_unknown"
    account = await live_account(ctx, family.user_id, family.generation)
    if account is None:
        await ctx.state.delete(_FAMILIES, token.family)
        return "account"
    presented, now = hash_of(token.secret), ctx.now().timestamp()
    if hmac.compare_digest(presented, family.hash):
        family = _next(family, token.secret, now)
        left_s = await _keep(ctx, token.family, family)
    elif hmac.compare_digest(presented, family.previous) and now < family.rotated_at + GRACE_S:
        left_s = _left_s(family, now)
    else:
        await ctx.state.delete(_FAMILIES, token.family)
        return "refresh_reused"
    secret = following(token.secret, family.salt)
    return Issued(account, token.family, str(marked(token.family, secret, family.mark_key)), left_s)


def _next(family: Family, secret: str, now: float) -> Family:
    salt = secrets.token_hex(SECRET_BYTES)
    return msgspec.structs.replace(
        family,
        previous=family.hash,
        hash=hash_of(following(secret, salt)),
        salt=salt,
        rotated_at=now,
    )


def _left_s(family: Family, now: float) -> int:
    """Return for how many seconds a token that is given out now may wait unused."""
    return max(1, int(min(IDLE_S, family.ends_at - now)))


async def _keep(ctx: Context, name: str, family: Family) -> int:
    left_s = _left_s(family, ctx.now().timestamp())
    await ctx.state.set(_FAMILIES, name, msgspec.to_builtins(family), left_s)
    return left_s


async def _family_in(ctx: Context, name: str) -> Family | None:
    record = await ctx.state.get(_FAMILIES, name)
    return None if record is None else msgspec.convert(record, Family)
