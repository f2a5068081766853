"""A user as it is kept in the state, and what its parts may look like."""

import re
from collections.abc import Iterable, Mapping

import msgspec

from tidegate.auth.caller import (
    ADMIN,
    ANY_SCOPE,
    DEVICE,
    RESERVED_ROLES,
    Kind,
    Record,
    make_caller,
)
from tidegate.contract import Context
from tidegate.errors import HTTPError

USERS = "tidegate.users"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}")
_ROLE = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_SCOPE = re.compile(r"\*|[a-z0-9_.-]{1,32}(:[a-z0-9_.-]{1,32}){0,3}(:\*)?")
_MOST_ROLES = 32
_MOST_TENANTS = 1_000
_MOST_ID_CHARS = 120


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """A user. `hash` None: no login by password (a user that only owns API keys).

    `generation` is raised to end every session and every refresh family at once: each of them
    notes the one that it began in.
    """

    # Before there were others, the administrator's record did not say its name.
    username: str = ADMIN
    hash: str | None = None
    roles: tuple[str, ...] = ()
    tenants: dict[str, tuple[str, ...]] = {}
    tenant: str | None = None
    scopes: tuple[str, ...] = (ANY_SCOPE,)
    disabled: bool = False
    generation: int = 0


def shown(account: Account) -> dict[str, object]:
    """Return what others may see of an account."""
    fields: dict[str, object] = msgspec.to_builtins(account)
    has_password = fields.pop("hash") is not None
    del fields["generation"]
    return {**fields, "has_password": has_password}


def caller_of(account: Account, kind: Kind) -> Record:
    """Return the caller that acts as the user."""
    only = next(iter(account.tenants)) if len(account.tenants) == 1 else None
    return make_caller(
        account.username,
        account.roles,
        kind=kind,
        tenants=account.tenants,
        tenant=account.tenant or only,
        scopes=account.scopes,
    )


async def account_in(ctx: Context, username: str) -> Account | None:
    """Read an account inside a transaction."""
    record = await ctx.state.get(USERS, username)
    return None if record is None else msgspec.convert(record, Account)


async def save_account(ctx: Context, account: Account) -> None:
    """Write an account inside a transaction."""
    await ctx.state.set(USERS, account.username, msgspec.to_builtins(account))


async def live_account(ctx: Context, username: str, generation: int) -> Account | None:
    """Return the account when what began in that generation still holds."""
    account = await account_in(ctx, username)
    if account is None or account.disabled or account.generation != generation:
        return None
    return account


def check_account(account: Account) -> None:
    """Check every part that a person chose.

    Raises:
        HTTPError: 422; the text says which part, and what it may be.
    """
    if not _NAME.fullmatch(account.username):
        raise HTTPError(
            422, "username: 1 to 128 of A-Z a-z 0-9 . _ @ + -, a letter or a digit first"
        )
    _check_roles("roles", account.roles)
    if DEVICE in account.roles:
        raise HTTPError(422, f"roles: '{DEVICE}' is for devices; 'tidegate device add' makes them")
    check_scopes(account.scopes)
    _check_tenants(account.tenants)
    if account.tenant is not None and account.tenant not in account.tenants:
        raise HTTPError(422, f"tenant: '{account.tenant}' is not among the user's tenants")


def check_scopes(scopes: Iterable[str]) -> None:
    """Raise 422 for what is no scope; `*` and `telemetry:*` include others."""
    listed = list(scopes)
    if not 0 < len(listed) <= _MOST_ROLES:
        raise HTTPError(422, f"scopes: between 1 and {_MOST_ROLES}")
    for scope in listed:
        if not _SCOPE.fullmatch(scope):
            raise HTTPError(422, "scopes: each like 'telemetry:read', 'telemetry:*' or '*'")


def _check_tenants(tenants: Mapping[str, tuple[str, ...]]) -> None:
    if len(tenants) > _MOST_TENANTS:
        raise HTTPError(422, f"tenants: at most {_MOST_TENANTS}")
    for name, roles in tenants.items():
        if not 0 < len(name) <= _MOST_ID_CHARS or not name.isprintable() or name != name.strip():
            raise HTTPError(422, f"tenants: a name has 1 to {_MOST_ID_CHARS} printable characters")
        _check_roles(f"tenants.{name}", roles)
        if taken := RESERVED_ROLES & set(roles):
            raise HTTPError(422, f"tenants.{name}: '{min(taken)}' cannot be a role in a tenant")


def _check_roles(where: str, roles: tuple[str, ...]) -> None:
    if len(roles) > _MOST_ROLES:
        raise HTTPError(422, f"{where}: at most {_MOST_ROLES} roles")
    for name in roles:
        if not _ROLE.fullmatch(name):
            raise HTTPError(422, f"{where}: a role is 1 to 64 of a-z 0-9 _ -, a letter first")
