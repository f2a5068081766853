"""Who a request acts for: `req.user`, its roles and its scopes. Pure."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

ADMIN = "admin"
DEVICE = "device"
RESERVED_ROLES = frozenset({ADMIN, DEVICE})
"""Roles that mean something to the runtime: nobody has them in a tenant alone."""
ANY_SCOPE = "*"

Kind = Literal["token", "device", "session", "jwt", "key"]
"""By what the caller was known: the instance's token, a device's, a cookie, a JWT, an API key."""


class Record(dict[str, Any]):
    """A dict that also reads as attributes: `user.userId`, `user.user_id`, `tenant.plan`."""

    def __getattr__(self, name: str) -> Any:
        """Return a field by its name in camelCase or snake_case."""
        camel = re.sub(r"_([a-z0-9])", lambda match: match[1].upper(), name)
        for spelling in (name, camel):
            if spelling in self:
                return self[spelling]
        raise AttributeError(name)


def make_caller(
    user_id: str,
    roles: Iterable[str],
    *,
    kind: Kind,
    tenants: Mapping[str, Iterable[str]] | None = None,
    tenant: str | None = None,
    scopes: Iterable[str] = (ANY_SCOPE,),
) -> Record:
    """Return a caller.

    `roles` hold everywhere, those in `tenants` (by tenant) only inside of it; `tenant` is the
    one that is meant when a request names none.
    """
    inside = {name: list(held) for name, held in (tenants or {}).items()}
    return Record(
        userId=user_id,
        roles=list(roles),
        kind=kind,
        tenants=inside,
        tenant=tenant,
        scopes=list(scopes),
    )


def is_restricted_key(caller: Mapping[str, Any]) -> bool:
    """Tell whether the caller is an API key that may do only what it lists."""
    return caller["kind"] == "key" and ANY_SCOPE not in caller["scopes"]


def is_administrator(caller: Mapping[str, Any]) -> bool:
    """Tell whether the caller may do everything."""
    return ADMIN in caller["roles"]


def may(caller: Mapping[str, Any], scope: str) -> bool:
    """Tell whether the caller holds a scope."""
    return any(covers(held, scope) for held in caller["scopes"])


def covers(held: str, wanted: str) -> bool:
    """Tell whether a scope includes another: `*` all, `telemetry:*` all that begin with it."""
    wide = held.endswith(":*") and wanted.startswith(held[:-1])
    return held in (ANY_SCOPE, wanted) or wide


def common_scopes(some: Iterable[str], others: Iterable[str]) -> list[str]:
    """Return the scopes that include what both sides include, sorted."""
    ours, theirs = set(some), set(others)
    kept = {scope for scope in ours if any(covers(held, scope) for held in theirs)}
    return sorted(kept | {scope for scope in theirs if any(covers(held, scope) for held in ours)})
