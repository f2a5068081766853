"""What an access token says, and whether it still holds. Pure."""

from typing import Any

import msgspec

from tidegate.auth.accounts import Account, caller_of
from tidegate.auth.refusals import Refused

ISSUER = "tidegate"
AUDIENCE = "tidegate-api"
LIFETIME_S = 15 * 60
_AHEAD_S = 60


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """The claims (RFC 7519; times in Unix seconds). `sid` is the refresh family it belongs to.

    Roles and tenant are what held when it was made, for clients to show; what a caller may do is
    read anew at every request.
    """

    iss: str
    aud: str
    sub: str
    sid: str
    jti: str
    iat: int
    exp: int
    roles: tuple[str, ...] = ()
    tenant: str | None = None


def claims_for(account: Account, *, sid: str, jti: str, now_s: int) -> dict[str, Any]:
    """Return the claims of a new access token."""
    claims = Claims(
        iss=ISSUER,
        aud=AUDIENCE,
        sub=account.username,
        sid=sid,
        jti=jti,
        iat=now_s,
        exp=now_s + LIFETIME_S,
        roles=account.roles,
        tenant=caller_of(account, "jwt")["tenant"],
    )
    plain: dict[str, Any] = msgspec.to_builtins(claims)
    return plain


def check_claims(content: dict[str, Any], now_s: int) -> Claims:
    """Return the claims of a token whose signature is right.

    Raises:
        Refused: it is over, from the future, not for us, or not one of our access tokens.
    """
    try:
        claims = msgspec.convert(content, Claims)
    except msgspec.ValidationError as exc:
        raise Refused("jwt_claims") from exc
    if claims.iss != ISSUER or claims.aud != AUDIENCE or claims.iat > now_s + _AHEAD_S:
        raise Refused("jwt_claims")
    if claims.exp <= now_s:
        raise Refused("jwt_expired")
    return claims
