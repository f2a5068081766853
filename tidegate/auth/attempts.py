"""How often somebody may try to log in: for each name and address, and for each address."""

import hashlib
import ipaddress
import math
from typing import NamedTuple

from tidegate.auth.refusals import Reason, count_refusal
from tidegate.contract import Context
from tidegate.engine.engine import Engine
from tidegate.errors import HTTPError

WINDOW_S = 300
MOST_PER_NAME = 10
MOST_PER_ADDRESS = 100
_GROUP = "tidegate.login_attempts"


class _Limit(NamedTuple):
    """One count: its key, how high it may go, and what it means to be above."""

    key: str
    most: int
    reason: Reason


class Attempts:
    """Counts attempts that did not succeed, in windows of five minutes.

    By name *and* address, so that nobody can lock another out; by address, so that one machine
    cannot try one password on every name.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def begin(self, username: str, client: str) -> None:
        """Count an attempt, before the slow check: those at the same time do not slip through.

        Raises:
            HTTPError: 429 with the time to wait; what is refused here is not counted again.
        """

        async def count(ctx: Context) -> tuple[Reason | None, float]:
            now = ctx.now().timestamp()
            tallies = [(limit, await _tally(ctx, limit.key, now)) for limit in limits]
            for limit, (attempts, until) in tallies:
                if attempts >= limit.most:
                    return limit.reason, until - now
            for limit, (attempts, until) in tallies:
                await _keep(ctx, limit.key, (attempts + 1, until), now)
            return None, 0.0

        limits = _limits(username, client)
        reason, wait_s = await self._engine.transact(count)
        if reason is not None:
            count_refusal(reason)
            refusal = HTTPError(429, "too many failed logins; try again in a few minutes")
            refusal.retry_after_s = max(1, math.ceil(wait_s))
            raise refusal

    async def succeeded(self, username: str, client: str) -> None:
        """Forget the failures for the name; the address is only forgiven this one attempt.

        Else who has one account could try the others for ever.
        """
        await self._take_back(username, client, forget_name=True)

    async def not_tried(self, username: str, client: str) -> None:
        """Take an attempt back that came to no check of the password."""
        await self._take_back(username, client, forget_name=False)

    async def _take_back(self, username: str, client: str, *, forget_name: bool) -> None:
        async def take_back(ctx: Context) -> None:
            now = ctx.now().timestamp()
            for limit in _limits(username, client):
                attempts, until = await _tally(ctx, limit.key, now)
                if attempts <= 1 or (forget_name and limit.reason == "login_limit"):
                    await ctx.state.delete(_GROUP, limit.key)
                else:
                    await _keep(ctx, limit.key, (attempts - 1, until), now)

        await self._engine.transact(take_back)


def network_of(client: str) -> str:
    """Return what counts as one address: an IPv4 address, or the /64 that IPv6 gives a person."""
    try:
        address = ipaddress.ip_address(client.partition("%")[0])
    except ValueError:
        return client
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False))


def _limits(username: str, client: str) -> list[_Limit]:
    address = network_of(client)
    return [
        _Limit(_hashed(f"address\n{address}"), MOST_PER_ADDRESS, "address_limit"),
        _Limit(_hashed(f"name\n{address}\n{username}"), MOST_PER_NAME, "login_limit"),
    ]


async def _tally(ctx: Context, key: str, now: float) -> tuple[int, float]:
    """Return the attempts of the window and when it ends, in seconds."""
    kept = await ctx.state.get(_GROUP, key)
    return (0, now + WINDOW_S) if kept is None else (kept[0], kept[1])


async def _keep(ctx: Context, key: str, tally: tuple[int, float], now: float) -> None:
    await ctx.state.set(_GROUP, key, list(tally), max(tally[1] - now, 0.001))


def _hashed(text: str) -> str:
    """Keep no names in the state that somebody may have typed a password into."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
