"""What protects the pages' forms and redirects: pure checks on request headers and paths."""

from urllib.parse import urlsplit

from tidegate.auth.session import COOKIE, TTL_S


def safe_next(path: str | None, default: str = "/") -> str:
    """Return `path` when it is a path of this site, else `default`; never an open redirect."""
    if not path or not path.startswith("/") or not path.isprintable() or "\\" in path:
        return default
    parts = urlsplit(path)
    leaves = path.startswith("//") or parts.scheme or parts.netloc
    return default if leaves or parts.path in ("/login", "/logout") else path


def session_cookie(token: str, *, secure: bool) -> str:
    """Return the `Set-Cookie` value that begins a session."""
    return _cookie(token, TTL_S, secure=secure)


def expired_cookie(*, secure: bool) -> str:
    """Return the `Set-Cookie` value that ends a session."""
    return _cookie("", 0, secure=secure)


def _cookie(value: str, max_age_s: int, *, secure: bool) -> str:
    plain = f"{COOKIE}={value}; Path=/; Max-Age={max_age_s}; HttpOnly; SameSite=Strict"
    return f"{plain}; Secure" if secure else plain
