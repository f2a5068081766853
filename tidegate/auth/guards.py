"""What a step asks of its caller: `role("billing")`, `scope("telemetry:read")`.

They stand in `config["middleware"]` after `authMiddleware`, which says who is calling.
"""

from typing import Any

from tidegate.auth.caller import Record, may
from tidegate.contract import Context
from tidegate.errors import HTTPError, Misconfigured
from tidegate.http.middleware import Middleware, Next, OnHead
from tidegate.http.request import Request


class Guard(OnHead):
    """A middleware that lets some callers through; its name stands in lists of steps."""

    def __init__(self, middleware: Middleware, name: str) -> None:
        super().__init__(middleware)
        self.__name__ = name


class Scope(Guard):
    """Lets callers through that hold a scope."""

    def __init__(self, name: str) -> None:
        super().__init__(self._check, f"scope({name})")
        self.name = name

    async def _check(self, request: Request, _ctx: Context, proceed: Next) -> Any:
        if not may(known_caller(request), self.name):
            raise HTTPError(403, f"needs the scope '{self.name}'")
        return await proceed()


class Role(Guard):
    """Lets callers through that have one of some roles, everywhere or in the request's tenant."""

    def __init__(self, *names: str) -> None:
        super().__init__(self._check, f"role({', '.join(names)})")
        self.names = names

    async def _check(self, request: Request, _ctx: Context, proceed: Next) -> Any:
        if not set(self.names) & _roles_of(known_caller(request)):
            raise HTTPError(403, f"needs one of the roles: {', '.join(self.names)}")
        return await proceed()


def scope(name: str) -> Middleware:
    """Return a middleware that asks for a scope, such as `telemetry:read`.

    API keys hold the scopes that they were made with (and their owners hold too); people hold
    all, unless their account is restricted; `telemetry:*` and `*` include others. A key that does
    not hold `*` is let into no step that asks for no scope.

    Raises:
        Misconfigured: it is no name of one scope.
    """
    if not name or "*" in name:
        raise Misconfigured(f"scope('{name}') must name one scope, such as 'telemetry:read'")
    return Scope(name)


def role(*names: str) -> Middleware:
    """Return a middleware that asks for one of some roles: of the user, or in `req.tenant`.

    Roles in a tenant count after `tenantMiddleware`. An API key has the roles of its owner, those
    in a tenant only in its own; `admin` only when it holds every scope and is of no tenant.

    Raises:
        Misconfigured: no role is named.
    """
    if not names or not all(names):
        raise Misconfigured("role() must name at least one role")
    return Role(*names)


async def _people_only(request: Request, _ctx: Context, proceed: Next) -> Any:
    if known_caller(request)["kind"] not in ("session", "jwt", "token"):
        raise HTTPError(403, "a person must log in for this: API keys and devices may not")
    return await proceed()


async def _account_only(request: Request, _ctx: Context, proceed: Next) -> Any:
    if known_caller(request)["kind"] not in ("session", "jwt"):
        raise HTTPError(403, "only a user that has logged in may do this")
    return await proceed()


people_only = Guard(_people_only, "people_only")
"""Lets through people, and the administrator's token: with a stolen key nobody makes more."""
account_only = Guard(_account_only, "account_only")
"""Lets through who has logged in: what is done concerns the caller's own account."""


def known_caller(request: Request) -> Record:
    """Return the caller that a middleware before has found.

    Raises:
        HTTPError: 401 there is none.
    """
    if request.user is None:
        raise HTTPError(401, "nobody is known to call: authMiddleware must come first")
    user: Record = request.user
    return user


def _roles_of(caller: Record) -> set[str]:
    return {*caller["roles"], *caller.get("tenantRoles", ())}
