"""What the steps of this package take as bodies; what does not fit is refused without its text."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

Aware = Annotated[datetime, Meta(tz=True)]


class Login(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who logs in."""

    username: str
    password: str


class Refresh(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A refresh token; a browser sends its cookie instead."""

    refresh_token: str | None = None


class ChangePassword(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A new password, by who knows the old one."""

    old_password: str
    new_password: str


class SetPassword(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A new password, by an administrator."""

    password: str


class AddUser(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A new user; without a password it can only own API keys."""

    username: str
    password: str | None = None
    roles: tuple[str, ...] = ()
    tenants: dict[str, tuple[str, ...]] = {}
    tenant: str | None = None
    scopes: tuple[str, ...] = ("*",)


class ChangeUser(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What becomes different about a user; what is absent stays."""

    disabled: bool | UnsetType = UNSET
    roles: tuple[str, ...] | UnsetType = UNSET
    tenants: dict[str, tuple[str, ...]] | UnsetType = UNSET
    tenant: str | UnsetType | None = UNSET
    scopes: tuple[str, ...] | UnsetType = UNSET


class AddKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A new API key; `owner` is the caller's own name, unless an administrator asks."""

    name: str
    scopes: tuple[str, ...]
    owner: str | None = None
    tenant: str | None = None
    expires_at: Aware | None = None
