"""What the steps of this package answer: nothing of it is kept by a browser or a proxy."""

from typing import Any

from tidegate.auth.accounts import shown
from tidegate.auth.origin import came_by_https, same_origin
from tidegate.auth.refusals import count_refusal
from tidegate.auth.tokens import Tokens
from tidegate.errors import HTTPError
from tidegate.http.request import Request

REFRESH_COOKIE = "tidegate_refresh"
_PATH = "/api/v1/auth"


def private(body: object, *, status: int = 200, cookie: str | None = None) -> dict[str, Any]:
    """Return an answer that is for the caller alone."""
    headers = {"Cache-Control": "no-store"}
    if cookie is not None:
        headers["Set-Cookie"] = cookie
    return {"status": status, "headers": headers, "body": body}


def tokens_answer(tokens: Tokens, request: Request, public_url: str | None) -> dict[str, Any]:
    """Return new tokens, named as OAuth names them (RFC 6749), the refresh token as cookie too."""
    body = {
        "access_token": tokens.access,
        "token_type": "Bearer",
        "expires_in": tokens.access_expires_in_s,
        "refresh_token": tokens.refresh,
        "refresh_expires_in": tokens.refresh_expires_in_s,
        "user": shown(tokens.account),
    }
    secure = is_secure(request, public_url)
    cookie = refresh_cookie(tokens.refresh, tokens.refresh_expires_in_s, secure=secure)
    return private(body, cookie=cookie)


def goodbye(request: Request, public_url: str | None) -> dict[str, Any]:
    """Return the answer that also takes the cookie away."""
    cookie = refresh_cookie("", 0, secure=is_secure(request, public_url))
    return private(None, status=204, cookie=cookie)


def refresh_cookie(token: str, max_age_s: int, *, secure: bool) -> str:
    """Return the `Set-Cookie` value of a refresh token; scripts do not see it."""
    plain = (
        f"{REFRESH_COOKIE}={token}; Path={_PATH}; Max-Age={max_age_s}; HttpOnly; SameSite=Strict"
    )
    return f"{plain}; Secure" if secure else plain


def is_secure(request: Request, public_url: str | None) -> bool:
    """Tell whether the answer travels by HTTPS."""
    return came_by_https(request.headers, public_url, scheme=request.scheme)


def check_origin(request: Request, public_url: str | None) -> None:
    """Raise 403 for a browser's request from a page that is not ours."""
    if not same_origin(request.headers, public_url):
        count_refusal("origin")
        raise HTTPError(403, "the request does not come from this site")


def refresh_token_of(request: Request, given: str | None, public_url: str | None) -> str | None:
    """Return the token of the body, else that of the cookie, which only our own pages may use."""
    if given is not None:
        return given
    cookie: str | None = request.cookies.get(REFRESH_COOKIE)
    if cookie is not None:
        check_origin(request, public_url)
    return cookie
