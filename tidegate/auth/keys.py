"""API keys: for programs, each with what it may do and whose it is."""

import hmac
import secrets
from datetime import datetime, timedelta
from typing import Any

import msgspec

from tidegate.auth import key_format
from tidegate.auth.accounts import Account, account_in, caller_of, check_scopes
from tidegate.auth.caller import (
    ADMIN,
    ANY_SCOPE,
    RESERVED_ROLES,
    Record,
    common_scopes,
    covers,
    make_caller,
)
from tidegate.auth.key_format import KeyText
from tidegate.auth.refusals import Refused
from tidegate.auth.users import Users
from tidegate.contract import Context
from tidegate.errors import HTTPError

MOST_PER_OWNER = 100
USED_EVERY_S = 60
KEEP_REVOKED_S = 30 * 24 * 3600
_MOST_NOTED = 10_000
_MAX_NAME_CHARS = 100
_MAX_LIFETIME = timedelta(days=3650)
_KEYS, _USED = "tidegate.api_keys", "tidegate.api_keys.used"
_NO_HASH = key_format.hash_of("")


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key as it is kept: its public prefix, the hash of its secret, what it may do."""

    prefix: str
    hash: str
    name: str
    owner: str
    scopes: tuple[str, ...]
    created_at: datetime
    tenant: str | None = None
    expires_at: datetime | None = None
    revoked_at: datetime | None = None


class NewKey(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody asks for. Without a tenant it is of its owner's; an administrator's of none."""

    name: str
    owner: str
    scopes: tuple[str, ...]
    tenant: str | None = None
    expires_at: datetime | None = None


class ApiKeys:
    """Make, list and revoke keys, and know their callers."""

    def __init__(self, users: Users) -> None:
        self._users = users
        self._engine = users.engine
        self._noted: dict[str, int] = {}

    async def add(self, wanted: NewKey) -> tuple[ApiKey, str]:
        """Return a new key and its text, which nobody can be told again.

        Raises:
            HTTPError: 422 a part is not as it must be, or beyond what its owner may do; 409 the
                owner has a hundred.
        """
        text = KeyText(
            _random(key_format.PREFIX_ALPHABET, key_format.PREFIX_CHARS),
            _random(key_format.SECRET_ALPHABET, key_format.SECRET_CHARS),
        )

        async def save(ctx: Context) -> ApiKey:
            owner = await account_in(ctx, wanted.owner)
            if owner is None or owner.disabled:
                raise HTTPError(422, f"owner: there is no user '{wanted.owner}'")
            _check(wanted, owner, ctx.now())
            prefixes = await ctx.state.get_group(_index(wanted.owner))
            if len(prefixes) >= MOST_PER_OWNER:
                raise HTTPError(409, f"a user has at most {MOST_PER_OWNER} keys; revoke some")
            key = _made(wanted, owner, text, ctx.now())
            await ctx.state.set(_KEYS, text.prefix, msgspec.to_builtins(key))
            await ctx.state.set(_index(wanted.owner), text.prefix, text.prefix)
            return key

        return await self._engine.transact(save), str(text)

    async def shown(self, owner: str | None = None) -> list[dict[str, Any]]:
        """Return all keys, or an owner's, oldest first, without their secrets.

        A revoked one is listed for thirty days.
        """

        async def read(ctx: Context) -> list[dict[str, Any]]:
            if owner is None:
                records = await ctx.state.get_group(_KEYS)
            else:
                pattern = await ctx.state.get_group(_index(owner))
                records = [await ctx.state.get(_KEYS, prefix) for prefix in pattern]
            keys = [msgspec.convert(record, ApiKey) for record in records if record is not None]
            keys.sort(key=lambda key: (key.created_at, key.prefix))
            return [shown_key(key, await ctx.state.get(_USED, key.prefix)) for key in keys]

        return await self._engine.transact(read)

    async def revoke(self, prefix: str, *, owner: str | None = None) -> datetime:
        """Revoke a key at once, for good; again is fine. With `owner` only one of his.

        Raises:
            HTTPError: 404 no such key, or another's.
        """

        async def revoke(ctx: Context) -> datetime | None:
            record = await ctx.state.get(_KEYS, prefix)
            key = None if record is None else msgspec.convert(record, ApiKey)
            if key is None or (owner is not None and key.owner != owner):
                return None
            if key.revoked_at is not None:
                return key.revoked_at
            revoked = msgspec.structs.replace(key, revoked_at=ctx.now())
            await ctx.state.set(_KEYS, prefix, msgspec.to_builtins(revoked), KEEP_REVOKED_S)
            await ctx.state.set(_index(key.owner), prefix, prefix, KEEP_REVOKED_S)
            await ctx.state.delete(_USED, prefix)
            return ctx.now()

        at = await self._engine.transact(revoke) if key_format.is_prefix(prefix) else None
        if at is None:
            raise HTTPError(404, "no such key")
        return at

    async def caller(self, text: KeyText) -> Record:
        """Return who a key acts for, and note once a minute that it was used.

        Raises:
            Refused: it is wrong, revoked or over, or its owner may not call any more.
        """
        record = await self._engine.transact(lambda ctx: ctx.state.get(_KEYS, text.prefix))
        key = None if record is None else msgspec.convert(record, ApiKey)
        # Compared also where there is no such key: the answer takes the same time.
        right = hmac.compare_digest(key_format.hash_of(text.secret), key.hash if key else _NO_HASH)
        if key is None or not right:
            raise Refused("key_wrong")
        if key.revoked_at is not None:
            raise Refused("key_revoked")
        now_ms = self._engine.now_ms()
        if key.expires_at is not None and key.expires_at.timestamp() * 1000 <= now_ms:
            raise Refused("key_expired")
        owner = await self._users.find(key.owner)
        if owner is None or owner.disabled:
            raise Refused("account")
        await self._note_use(key.prefix, now_ms)
        return _caller(key, owner)

    async def _note_use(self, prefix: str, now_ms: int) -> None:
        """Write when a key was last used, at most once a minute for each."""
        if now_ms - self._noted.get(prefix, -USED_EVERY_S * 1000) < USED_EVERY_S * 1000:
            return
        if len(self._noted) >= _MOST_NOTED:
            self._noted.clear()
        self._noted[prefix] = now_ms

        async def note(ctx: Context) -> None:
            used_at = await ctx.state.get(_USED, prefix)
            if used_at is None or (ctx.now() - used_at).total_seconds() >= USED_EVERY_S:
                await ctx.state.set(_USED, prefix, ctx.now())

        await self._engine.transact(note)


def _check(wanted: NewKey, owner: Account, now: datetime) -> None:
    if not 0 < len(wanted.name) <= _MAX_NAME_CHARS or not wanted.name.isprintable():
        raise HTTPError(422, f"name: 1 to {_MAX_NAME_CHARS} printable characters")
    check_scopes(wanted.scopes)
    for scope in wanted.scopes:
        if not any(covers(held, scope) for held in owner.scopes):
            raise HTTPError(422, f"scopes: '{scope}' is more than its owner may do")
    stranger = wanted.tenant not in owner.tenants and ADMIN not in owner.roles
    if wanted.tenant is not None and stranger:
        raise HTTPError(422, "tenant: its owner does not belong to it")
    if wanted.expires_at is not None and not now < wanted.expires_at <= now + _MAX_LIFETIME:
        raise HTTPError(422, "expires_at: in the future, within ten years, with a time zone")


def _made(wanted: NewKey, owner: Account, text: KeyText, now: datetime) -> ApiKey:
    default = None if ADMIN in owner.roles else caller_of(owner, "key")["tenant"]
    return ApiKey(
        prefix=text.prefix,
        hash=key_format.hash_of(text.secret),
        name=wanted.name,
        owner=wanted.owner,
        scopes=wanted.scopes,
        created_at=now,
        tenant=wanted.tenant or default,
        expires_at=wanted.expires_at,
    )


def _caller(key: ApiKey, owner: Account) -> Record:
    """Return the caller: the owner's roles of now, in the key's tenant and scopes alone."""
    scopes = common_scopes(key.scopes, owner.scopes)
    inside = owner.tenants.get(key.tenant or "")
    member = inside is not None or ADMIN in owner.roles
    unbound = key.tenant is None and ANY_SCOPE in scopes
    caller = make_caller(
        owner.username,
        [role for role in owner.roles if unbound or role not in RESERVED_ROLES],
        kind="key",
        tenants={key.tenant: inside or ()} if key.tenant and member else {},
        tenant=key.tenant,
        scopes=scopes,
    )
    caller["keyId"] = key.prefix
    return caller


def shown_key(key: ApiKey, used_at: datetime | None = None) -> dict[str, Any]:
    """Return what lists show of a key."""
    fields: dict[str, Any] = msgspec.to_builtins(key)
    del fields["hash"]
    last = used_at.isoformat() if used_at else None
    return {**fields, "last_used_at": last}


def _index(owner: str) -> str:
    """Return the group that holds the prefixes of an owner's keys."""
    return f"tidegate.api_keys.of:{owner}"


def _random(alphabet: str, chars: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(chars))
