"""What protects the pages' forms and redirects: pure checks on request headers and paths."""

from collections.abc import Mapping
from urllib.parse import urlsplit

SESSION_COOKIE = "tidegate_session"
SESSION_MAX_AGE_S = 7 * 24 * 3600


def same_origin(headers: Mapping[str, str], public_url: str | None = None) -> bool:
    """Return whether a request that changes something came from one of our own pages.

    `Sec-Fetch-Site` decides where the browser sends it, else `Origin` must name the host that
    was asked (or that of `public_url`, behind a proxy that rewrites `Host`). A request with
    neither comes from no browser, so no person's cookie can be abused by it. Header names are
    in lower case.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = headers.get("origin")
    if origin is None:
        return True
    asked = {headers.get("host", "").lower(), _host(public_url or "")} - {""}
    return _host(origin) in asked


def safe_next(path: str | None, default: str = "/") -> str:
    """Return `path` when it is a path of this site, else `default`; never an open redirect."""
    if not path or not path.startswith("/") or not path.isprintable() or "\\" in path:
        return default
    parts = urlsplit(path)
    leaves = path.startswith("//") or parts.scheme or parts.netloc
    return default if leaves or parts.path in ("/login", "/logout") else path


def came_by_https(headers: Mapping[str, str], public_url: str | None = None) -> bool:
    """Return whether the person's browser spoke HTTPS, to us or to a proxy before us."""
    forwarded = headers.get("x-forwarded-proto", "").split(",")[0].strip().lower()
    return (forwarded or urlsplit(public_url or "").scheme) == "https"


def session_cookie(token: str, *, secure: bool) -> str:
    """Return the `Set-Cookie` value that begins a session."""
    return _cookie(token, SESSION_MAX_AGE_S, secure=secure)


def expired_cookie(*, secure: bool) -> str:
    """Return the `Set-Cookie` value that ends a session."""
    return _cookie("", 0, secure=secure)


def _cookie(value: str, max_age_s: int, *, secure: bool) -> str:
    plain = f"{SESSION_COOKIE}={value}; Path=/; Max-Age={max_age_s}; HttpOnly; SameSite=Strict"
    return f"{plain}; Secure" if secure else plain


def _host(url: str) -> str:
    """Return host and port of a URL as a browser writes them in `Host`, '' when it has none."""
    return urlsplit(url).netloc.rpartition("@")[2].lower()
